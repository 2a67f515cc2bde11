"""Regular orders beyond the single send: amended in place, sent in batches, tried without effect.

None of the three exists for conditional orders. Each is sent once; whoever calls decides what an
unknown outcome needs.

Source: binance-usdm reference §6.3 (amend, batch, test), §3.5 (batches answer 200 item by item).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import to_wire
from trader_cli.domain.order import LimitRequest, MarketRequest, Order
from trader_cli.domain.terms import Side
from trader_cli.errors import OutcomeUnknown, VenueError
from trader_cli.exchange.failures import Answer, judge_answer
from trader_cli.exchange.order_endpoints import OrderEndpoints
from trader_cli.wire.codes import describe
from trader_cli.wire.decode_orders import decode_order
from trader_cli.wire.encode import encode_limit, encode_market
from trader_cli.wire.fields import DecodeError

BATCH_MAX: Final = 5
"""Orders in one batch."""


class AmendEndpoints(OrderEndpoints):
    """Amend, batch and test regular orders."""

    async def amend_order(
        self, symbol: str, side: Side, order_id: int, *, quantity: Decimal, price: Decimal
    ) -> Order:
        """Change a resting limit order; it loses its place in the queue.

        `quantity` is the whole order's, executed part included. The answer is CANCELED where a
        post-only order would take, or where as much is executed already.

        Raises:
            Rejected: -5027 it is so already, -5026 amended too often, -5025 not a limit order,
                -2013 it does not rest.
        """
        return await self._gateway.write(
            f"amend order {order_id} of {symbol}",
            lambda api: api.futures_modify_order(
                symbol=symbol,
                side=side.value,
                orderId=order_id,
                quantity=to_wire(quantity),
                price=to_wire(price),
            ),
            decode_order,
        )

    async def send_batch(
        self, requests: Sequence[LimitRequest | MarketRequest]
    ) -> list[Order | VenueError]:
        """Send up to five regular orders at once; each has its own outcome, in the same order.

        Raises:
            VenueError: the batch as a whole failed; see `send` for what each kind means.
        """
        assert 0 < len(requests) <= BATCH_MAX, "the caller cuts batches to size"
        batch = json.dumps([_encoded(request) for request in requests], separators=(",", ":"))
        rows = await self._gateway.write(
            f"place {len(requests)} orders at once",
            lambda api: api.futures_send_batch(batch),
            _rows,
        )
        if len(rows) != len(requests):
            raise OutcomeUnknown(f"{len(requests)} orders were sent, {len(rows)} were answered")
        return [self._outcome(request, row) for request, row in zip(requests, rows, strict=True)]

    async def test_order(self, request: LimitRequest | MarketRequest) -> None:
        """Let the venue check a regular order without placing it.

        Raises:
            VenueError: as the order itself would fail.
        """
        params = _encoded(request)
        await self._gateway.write(
            f"test an order on {request.symbol}",
            lambda api: api.futures_create_test_order(**params),
            lambda answer: None,
        )

    def _outcome(self, request: LimitRequest | MarketRequest, row: object) -> Order | VenueError:
        what = f"place order {request.client_order_id} of {request.symbol}"
        code = row.get("code") if isinstance(row, dict) else None
        if isinstance(code, int) and code < 0:
            known = describe(code)
            answer = Answer(
                status=400 if known is None else known.http_status,
                text=json.dumps(row),
                retry_after=None,
                content_type="application/json",
            )
            return judge_answer(
                answer,
                write=True,
                what=what,
                now_ms=self._gateway.clock.now_ms(),
                offset_ms=self._gateway.clock_offset_ms,
            ).error
        try:
            return decode_order(row)
        except DecodeError as error:
            return OutcomeUnknown(f"{what}: the answer cannot be understood ({error})")


def _encoded(request: LimitRequest | MarketRequest) -> dict[str, str]:
    if isinstance(request, LimitRequest):
        return {"type": "LIMIT", **encode_limit(request)}
    return {"type": "MARKET", **encode_market(request)}


def _rows(answer: object) -> list[object]:
    if not isinstance(answer, list):
        raise DecodeError("batchOrders", "the answer is not a list")
    return answer
