#!/usr/bin/env bash
# Run a command beside a temporary Partner Connector and a temporary simulated Meta:
#   with-connector.sh npm test
# The command gets API_URL and API_KEY in its environment, and BUSINESS_ID, BUSINESS_TOKEN, PARTNER_ID
# and PARTNER_TOKEN to connect. Needs curl and jq. API_PORT and GRAPH_PORT set other ports.
set -euo pipefail

API_URL=http://127.0.0.1:${API_PORT:-8000}
GRAPH_URL=http://127.0.0.1:${GRAPH_PORT:-8001}
directory=$(mktemp -d)
started=()
stop() {
  kill "${started[@]}" && wait "${started[@]}" || true
  rm -rf "$directory"
}
trap stop EXIT

graph-simulator --port "${GRAPH_PORT:-8001}" > "$directory/simulator.log" &
started+=($!)
until world=$(curl --silent --fail "$GRAPH_URL/__simulator__/world"); do sleep 0.2; done

export PARTNER_CONNECTOR_DATA_DIR=$directory
export PARTNER_CONNECTOR_GRAPH_BASE_URL=$GRAPH_URL
export PARTNER_CONNECTOR_META_APP_SECRET=$(jq -r .app.secret <<< "$world")
export PARTNER_CONNECTOR_RATE_LIMIT=off
workspace=$(partner-connector workspace create CI --json | jq -r .id)
API_KEY=$(partner-connector api-key create --workspace "$workspace" --scope all --json | jq -r .api_key)
partner-connector serve --with-worker --port "${API_PORT:-8000}" > "$directory/api.log" &
started+=($!)
until curl --silent --fail --output /dev/null "$API_URL/readyz"; do sleep 0.2; done

export API_URL API_KEY
export BUSINESS_ID=$(jq -r .host.id <<< "$world") BUSINESS_TOKEN=$(jq -r .host.token <<< "$world")
export PARTNER_ID=$(jq -r .partners[0].id <<< "$world")
export PARTNER_TOKEN=$(jq -r .partners[0].tokens.good <<< "$world")
"$@"
