"""`/livez` and `/readyz`."""

import httpx


async def test_both_answer_without_a_key(api: httpx.AsyncClient) -> None:
    """A load balancer needs no credential."""
    for path in ("/livez", "/readyz"):
        answer = await api.get(path, headers={"Authorization": ""})
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "failing": []}
