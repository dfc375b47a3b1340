"""Batches: their form, how they are split, and the result of each item."""

import json
from typing import Any

import httpx
import pytest

from partner_connector.graph import (
    BatchRead,
    FirstPage,
    GraphError,
    InvalidRequest,
    Read,
    Temporary,
    Throttled,
    TokenDead,
    UnknownGraphError,
    answer_to,
    edges,
    first_page,
    page_from,
)

from .meta import TOKEN, Meta, error, reply

ME, APP = edges.me(), edges.token_app()


def item(content: Any, code: int = 200, **headers: str) -> dict[str, Any]:
    """Return one batch item as Meta writes it: JSON text in JSON."""
    named = [{"name": name.replace("_", "-"), "value": text} for name, text in headers.items()]
    return {"code": code, "headers": named, "body": json.dumps(content)}


def failed(code: int, message: str = "Trouble", **more: Any) -> dict[str, Any]:
    return item({"error": {"code": code, "message": message, **more}}, 400)


def echo(request: httpx.Request) -> httpx.Response:
    """Answer each operation with its own `relative_url`."""
    operations = json.loads(httpx.QueryParams(request.content.decode())["batch"])
    return reply([item({"path": each["relative_url"]}) for each in operations])


async def test_batch_sends_token_as_form_field_only() -> None:
    """Keep the token out of the URL, the operations and the headers."""
    meta = Meta(echo)

    await meta.reader().batch(
        [answer_to(edges.assigned_users("act_1", "2")), answer_to(edges.my_permissions())]
    )

    (request,) = meta.requests
    assert (request.method, str(request.url)) == ("POST", "https://graph.facebook.com/v26.0/")
    assert meta.form() == {
        "batch": meta.form()["batch"],
        "include_headers": "true",
        "access_token": TOKEN,
    }
    assert "authorization" not in request.headers
    assert meta.operations() == [
        {
            "method": "GET",
            "relative_url": "act_1/assigned_users?business=2&summary=total_count"
            "&fields=id%2Cname%2Cuser_type%2Cbusiness%7Bid%7D%2Ctasks&limit=100",
        },
        {"method": "GET", "relative_url": "me/permissions"},
    ]


async def test_batch_returns_items_in_order_with_errors_as_values() -> None:
    meta = Meta(reply([item({"data": [{"id": "1"}]}), failed(200), item({"id": "3"})]))

    edge, refused, node = await meta.reader().batch([answer_to(ME), answer_to(ME), answer_to(ME)])

    assert isinstance(edge, dict)
    assert page_from(edge).rows == [{"id": "1"}]
    assert isinstance(refused, GraphError)
    assert refused.code == 200
    assert node == {"id": "3"}


async def test_batch_of_more_than_50_reads_is_split() -> None:
    """Send 120 reads in three batches, in order. Meta counts 120 calls."""
    meta = Meta(echo)
    reader = meta.reader()
    reads = [Read(str(number)) for number in range(120)]

    outcomes = await reader.batch([answer_to(read) for read in reads])

    assert outcomes == [{"path": str(number)} for number in range(120)]
    assert [len(meta.operations(n)) for n in range(3)] == [50, 50, 20]
    assert (reader.meter.calls, reader.meter.counted_calls) == (3, 120)


async def test_empty_batch_sends_no_request() -> None:
    meta = Meta(echo)

    assert await meta.reader().batch([]) == []
    assert meta.requests == []


async def test_batch_values_have_order_of_their_reads() -> None:
    """Let each read's own function convert its answer or its error."""
    items = [
        {"code": 200, "body": '{"id":"1"}'},
        {"code": 400, "body": json.dumps({"error": {"code": 200, "message": "No"}})},
        {"code": 200, "body": '{"data":[{"id":"2"}]}'},
    ]
    reads: list[BatchRead[object]] = [
        BatchRead(ME, lambda answer: isinstance(answer, dict) and answer["id"]),
        BatchRead(APP, lambda answer: isinstance(answer, GraphError) and answer.code),
        first_page(edges.my_businesses()),
    ]

    values = await Meta(reply(items)).reader().batch(reads)

    page = FirstPage(edges.my_businesses(), {"data": [{"id": "2"}]})
    assert values == ["1", 200, page]


async def test_batch_calls_are_counted_before_a_convert_function_raises() -> None:
    """Finish the batch before any answer is converted."""

    def raise_error(answer: object) -> None:
        raise ValueError

    meta = Meta(reply([{"code": 200, "body": "{}"}] * 2))
    reader = meta.reader()

    with pytest.raises(ValueError):  # noqa: PT011 - raised by the function
        await reader.batch([BatchRead(ME, raise_error), answer_to(APP)])
    assert reader.meter.counted_calls == 2


async def test_only_null_and_temporary_items_are_repeated() -> None:
    """Do not repeat successful and refused items."""
    meta = Meta(
        reply([item({"n": 0}), None, failed(2, is_transient=True), failed(200)]),
        reply([None, item({"n": 2})]),
        reply([item({"n": 1})]),
    )
    reader = meta.reader()

    outcomes = await reader.batch([answer_to(Read(str(n))) for n in range(4)])

    assert outcomes[:3] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert isinstance(outcomes[3], GraphError)
    assert [[op["relative_url"] for op in meta.operations(n)] for n in range(3)] == [
        ["0", "1", "2", "3"],
        ["1", "2"],
        ["1"],
    ]
    assert meta.sleeps == [0.5, 1.5]
    assert (reader.meter.calls, reader.meter.counted_calls) == (3, 7)


@pytest.mark.parametrize("odd", [None, {}, {"code": "200"}, "text", 7])
async def test_item_that_is_never_run_becomes_temporary_error(odd: object) -> None:
    """Give up after three attempts."""
    meta = Meta(reply([odd]))

    (outcome,) = await meta.reader().batch([answer_to(ME)])

    assert isinstance(outcome, Temporary)
    assert len(meta.requests) == 3


async def test_error_inside_item_with_code_200_is_an_error() -> None:
    meta = Meta(reply([item({"error": {"code": 190, "error_subcode": 463, "message": "m"}})]))

    (outcome,) = await meta.reader().batch([answer_to(ME)])

    assert isinstance(outcome, TokenDead)


@pytest.mark.parametrize("content", [None, "", "not json", "[]"])
async def test_item_without_json_object_is_an_error(content: str | None) -> None:
    meta = Meta(reply([{"code": 200, "headers": None, "body": content}]))

    (outcome,) = await meta.reader().batch([answer_to(ME)])

    assert isinstance(outcome, GraphError)


async def test_throttled_item_is_not_repeated_and_uses_its_own_wait() -> None:
    """Read the wait from the item's headers before the headers of the response."""
    usage = json.dumps({"1": [{"type": "ads_management", "estimated_time_to_regain_access": 7}]})
    throttled = failed(80004)
    throttled["headers"] = [{"name": "X-Business-Use-Case-Usage", "value": usage}]
    meta = Meta(reply([throttled], x_ad_account_usage=json.dumps({"reset_time_duration": 5})))
    client = meta.client()

    (outcome,) = await client.reader("T").batch([answer_to(ME)])

    assert isinstance(outcome, Throttled)
    assert outcome.resume_after == 420.0
    assert len(meta.requests) == 1
    (budget,) = client.budgets.values()
    assert budget.blocks == 1


async def test_throttled_item_without_headers_uses_response_headers() -> None:
    meta = Meta(reply([failed(4)], x_ad_account_usage=json.dumps({"reset_time_duration": 5})))

    (outcome,) = await meta.reader().batch([answer_to(ME)])

    assert isinstance(outcome, Throttled)
    assert outcome.resume_after == 5.0


@pytest.mark.parametrize(
    "headers", [None, {}, [None], [{"name": 1, "value": 2}], [{"name": "é", "value": "a\nb"}]]
)
async def test_malformed_item_headers_are_ignored(headers: object) -> None:
    meta = Meta(reply([{"code": 200, "headers": headers, "body": '{"id":"1"}'}]))

    assert await meta.reader().batch([answer_to(ME)]) == [{"id": "1"}]


async def test_failure_of_whole_batch_is_raised() -> None:
    """Expect one error object instead of a list for a dead token."""
    with pytest.raises(TokenDead):
        await Meta(error(190)).reader().batch([answer_to(ME), answer_to(APP)])


async def test_refusal_of_oversized_batch_is_invalid_request() -> None:
    """Recognize Meta's refusal, which has no code."""
    message = "Too many requests in batch message. Maximum batch size is 50"
    meta = Meta(reply({"error": {"message": message, "type": "GraphBatchException"}}, 400))

    with pytest.raises(InvalidRequest):
        await meta.reader().batch([answer_to(ME)])


@pytest.mark.parametrize("content", [{}, {"data": []}, [], [item({}), item({}), item({})]])
async def test_wrong_number_of_items_is_raised(content: object) -> None:
    """Refuse the whole response: an item is known only by its position."""
    with pytest.raises(UnknownGraphError):
        await Meta(reply(content)).reader().batch([answer_to(ME), answer_to(APP)])


async def test_batch_that_timed_out_is_halved() -> None:
    """Repeat once after error 960, then send smaller batches in order."""
    meta = Meta(error(960), error(960), echo)

    outcomes = await meta.reader().batch([answer_to(Read(str(n))) for n in range(5)])

    assert outcomes == [{"path": str(n)} for n in range(5)]
    assert [len(meta.operations(n)) for n in range(4)] == [5, 5, 2, 3]


async def test_batch_of_one_read_that_times_out_is_raised() -> None:
    with pytest.raises(Temporary, match="960"):
        await Meta(error(960)).reader().batch([answer_to(ME)])


async def test_links_in_batch_items_are_removed() -> None:
    """Keep URLs, which hold the token, out of batch items."""
    link = f"https://graph.facebook.com/?access_token={TOKEN}"
    edge = {"data": [], "paging": {"cursors": {"after": "A"}, "next": link}}
    meta = Meta(reply([item(edge)]))

    (outcome,) = await meta.reader().batch([answer_to(ME)])

    assert TOKEN not in repr(outcome)
    assert isinstance(outcome, dict)
    assert page_from(outcome).next_cursor == "A"


async def test_failed_repeat_keeps_items_already_read() -> None:
    """Give the failure of a repeat to the repeated reads only."""
    meta = Meta(reply([item({"id": "1"}), None]), error(190))

    read, failure = await meta.reader().batch([answer_to(ME), answer_to(APP)])

    assert read == {"id": "1"}
    assert isinstance(failure, TokenDead)
    assert len(meta.requests) == 2
