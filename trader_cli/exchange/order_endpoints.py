"""Orders of both worlds: regular ones and the Algo Service's conditional ones.

Each is placed by its own call, never by one that guesses which world is meant. A placement is
sent once; whoever calls decides what an unknown outcome needs.

Source: binance-usdm reference §6, §7.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, assert_never

from trader_cli.domain.instrument import split_quantity
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.terms import (
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.errors import Rejected
from trader_cli.exchange.order_lookup_endpoints import OrderLookupEndpoints, one_id
from trader_cli.wire.decode_orders import decode_algo_order, decode_order
from trader_cli.wire.encode import encode_conditional, encode_limit, encode_market

_QUANTITY_TOO_LARGE: Final = -4005


class OrderEndpoints(OrderLookupEndpoints):
    """Place and cancel orders; looking them up is in `OrderLookupEndpoints`."""

    # --- placing ------------------------------------------------------------------------------

    async def send(self, request: OrderRequest) -> Order | AlgoOrder:
        """Send a request once, by the call for its kind."""
        match request:
            case LimitRequest():
                params = encode_limit(request)
                return await self._gateway.write(
                    f"place limit order {request.client_order_id} of {request.symbol}",
                    lambda api: api.futures_limit_order(**params),
                    decode_order,
                    urgent=only_reduces(request),
                )
            case MarketRequest():
                return await self._send_market(request)
            case ConditionalRequest():
                return await self._send_conditional(request)
            case _:
                assert_never(request)

    async def place_market_order(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        client_order_id: str,
        reduce_only: bool = False,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> Order:
        """Buy or sell `quantity` base units at market; the answer waits for the execution."""
        return await self._send_market(
            MarketRequest(
                symbol=symbol,
                side=side,
                quantity=quantity,
                client_order_id=client_order_id,
                reduce_only=reduce_only,
                position_side=position_side,
            )
        )

    async def place_limit_order(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        *,
        client_order_id: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
        good_till_ms: int | None = None,
        reduce_only: bool = False,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> Order:
        """Place a limit order; GTX is post-only and rejected with -5022 where it would take."""
        order = await self.send(
            LimitRequest(
                symbol=symbol,
                side=side,
                quantity=quantity,
                price=price,
                client_order_id=client_order_id,
                time_in_force=time_in_force,
                good_till_ms=good_till_ms,
                reduce_only=reduce_only,
                position_side=position_side,
            )
        )
        assert isinstance(order, Order), "a limit request makes a regular order"
        return order

    async def place_stop_loss(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal | None,
        stop_price: Decimal,
        *,
        client_order_id: str,
        price: Decimal | None = None,
        working_type: WorkingType = WorkingType.MARK_PRICE,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> AlgoOrder:
        """Place a stop that only reduces; without a quantity it closes the whole position.

        Args:
            side: the exit's side: SELL protects a long.
            price: limit price once triggered; None exits at market.
        """
        return await self._send_conditional(
            ConditionalRequest(
                symbol=symbol,
                side=side,
                type=OrderType.STOP_MARKET if price is None else OrderType.STOP,
                client_order_id=client_order_id,
                quantity=quantity,
                trigger_price=stop_price,
                price=price,
                working_type=working_type,
                close_position=quantity is None,
                reduce_only=quantity is not None,
                position_side=position_side,
            )
        )

    async def place_take_profit(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal | None,
        price: Decimal,
        *,
        client_order_id: str,
        limit_price: Decimal | None = None,
        working_type: WorkingType = WorkingType.MARK_PRICE,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> AlgoOrder:
        """Place a take-profit that only reduces; without a quantity it closes the position.

        Args:
            price: the trigger.
            limit_price: limit price once triggered; None exits at market.
        """
        limited = limit_price is not None
        return await self._send_conditional(
            ConditionalRequest(
                symbol=symbol,
                side=side,
                type=OrderType.TAKE_PROFIT if limited else OrderType.TAKE_PROFIT_MARKET,
                client_order_id=client_order_id,
                quantity=quantity,
                trigger_price=price,
                price=limit_price,
                working_type=working_type,
                close_position=quantity is None,
                reduce_only=quantity is not None,
                position_side=position_side,
            )
        )

    async def place_trailing_stop(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        callback_rate: Decimal,
        *,
        client_order_id: str,
        activate_price: Decimal | None = None,
        working_type: WorkingType = WorkingType.MARK_PRICE,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> AlgoOrder:
        """Place a trailing stop that only reduces.

        Args:
            callback_rate: percent, 0.1 to 20.
            activate_price: where the trailing begins; None begins at once.
        """
        return await self._send_conditional(
            ConditionalRequest(
                symbol=symbol,
                side=side,
                type=OrderType.TRAILING_STOP_MARKET,
                client_order_id=client_order_id,
                quantity=quantity,
                callback_rate=callback_rate,
                activate_price=activate_price,
                working_type=working_type,
                reduce_only=True,
                position_side=position_side,
            )
        )

    async def close_position(
        self,
        symbol: str,
        side: PositionSide = PositionSide.BOTH,
        *,
        client_order_id_of: Callable[[int], str],
    ) -> list[Order]:
        """Close what is open of a symbol by reduce-only market orders; [] if it is flat.

        The position is read first. A quantity above MARKET_LOT_SIZE goes out in parts. In hedge
        mode BOTH closes both sides.

        Args:
            client_order_id_of: gives the id of the n-th order sent, from 0.

        Raises:
            VenueError: one order failed; those before it were sent, so read the position again.
        """
        orders: list[Order] = []
        sent = 0
        for _, position_side, quantity in await self.get_position_sizes(symbol):
            if side not in (PositionSide.BOTH, position_side):
                continue
            exit_side = Side.SELL if quantity > 0 else Side.BUY
            parts = self._market_parts(symbol, abs(quantity))
            while parts:
                request = MarketRequest(
                    symbol=symbol,
                    side=exit_side,
                    quantity=parts[0],
                    client_order_id=client_order_id_of(sent),
                    reduce_only=True,
                    position_side=position_side,
                )
                sent += 1
                try:
                    orders.append(await self._send_market(request))
                except Rejected as error:
                    if error.code != _QUANTITY_TOO_LARGE or self._instruments is not None:
                        raise
                    # The rules are a megabyte; an exit reads them only when it has to split.
                    await self.get_instruments()
                    parts = self._market_parts(symbol, sum(parts, Decimal(0)))
                    continue
                del parts[0]
        return orders

    # --- cancelling ---------------------------------------------------------------------------

    async def cancel_order(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order:
        """Cancel a regular order and return how it ended.

        Raises:
            Rejected: with code -2011 where it is not open (finished, or never there).
        """
        ids = one_id(order_id, client_order_id)
        return await self._gateway.write(
            f"cancel order {ids} of {symbol}",
            lambda api: api.futures_cancel_order(
                symbol=symbol, orderId=order_id, origClientOrderId=client_order_id
            ),
            decode_order,
            urgent=True,
        )

    async def cancel_algo_order(
        self, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> None:
        """Cancel a conditional order.

        Raises:
            Rejected: with code -2011 where it is not open (triggered, finished, or never there).
        """
        ids = one_id(algo_id, client_order_id)
        await self._gateway.write(
            f"cancel conditional order {ids}",
            lambda api: api.futures_cancel_algo_order(algoId=algo_id, clientAlgoId=client_order_id),
            _ignored,
            urgent=True,
        )

    async def cancel_all_open_orders(self, symbol: str) -> None:
        """Cancel the symbol's regular orders, those of others too; conditional ones stay."""
        await self._gateway.write(
            f"cancel all orders of {symbol}",
            lambda api: api.futures_cancel_all_open_orders(symbol=symbol),
            _ignored,
            urgent=True,
        )

    async def cancel_all_algo_orders(self, symbol: str) -> None:
        """Cancel the symbol's conditional orders, those of others too."""
        await self._gateway.write(
            f"cancel all conditional orders of {symbol}",
            lambda api: api.futures_cancel_all_algo_open_orders(symbol=symbol),
            _ignored,
            urgent=True,
        )

    # --- parts --------------------------------------------------------------------------------

    async def _send_market(self, request: MarketRequest) -> Order:
        params = encode_market(request)
        return await self._gateway.write(
            f"place market order {request.client_order_id} of {request.symbol}",
            lambda api: api.futures_market_order(**params),
            decode_order,
            urgent=only_reduces(request),
        )

    async def _send_conditional(self, request: ConditionalRequest) -> AlgoOrder:
        params = encode_conditional(request)
        return await self._gateway.write(
            f"place conditional order {request.client_order_id} of {request.symbol}",
            lambda api: api.futures_create_algo_order(**params),
            decode_algo_order,
            urgent=only_reduces(request),
        )

    def _market_parts(self, symbol: str, quantity: Decimal) -> list[Decimal]:
        instrument = self._instruments.get(symbol) if self._instruments is not None else None
        if instrument is None:
            return [quantity]
        return split_quantity(quantity, instrument.market_quantity_max)


def _ignored(answer: object) -> None:
    """The answer to a cancel says no more than that it worked."""
