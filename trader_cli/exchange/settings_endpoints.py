"""What an owner may switch, and ask of a key: position mode, isolated margin, rights.

Source: binance-usdm reference §8 (positionSide/dual, positionMargin), §14 (rights of a key).
"""

from __future__ import annotations

from decimal import Decimal

from trader_cli.domain.account import KeyRights
from trader_cli.domain.numbers import to_wire
from trader_cli.domain.terms import PositionSide
from trader_cli.errors import Rejected
from trader_cli.exchange.rows import Rows
from trader_cli.wire.codes import CodeClass, describe
from trader_cli.wire.decode import decode_key_rights

_ADD, _REMOVE = 1, 2


class SettingsEndpoints(Rows):
    """Switches that hold for the whole account, and margin of isolated positions."""

    async def set_position_mode(self, *, hedge: bool) -> None:
        """Switch between one-way and hedge mode; that it already is so counts as success (-4059).

        Raises:
            Rejected: -4067 with open orders, -4068 with positions, anywhere in the account.
        """
        word = "hedge" if hedge else "one-way"
        try:
            await self._gateway.write(
                f"set position mode {word}",
                lambda api: api.futures_change_position_mode(
                    dualSidePosition="true" if hedge else "false"
                ),
                _as_is,
            )
        except Rejected as error:
            known = describe(error.code) if isinstance(error.code, int) else None
            if known is None or known.kind is not CodeClass.IDEMPOTENT_OK:
                raise

    async def move_isolated_margin(
        self,
        symbol: str,
        amount: Decimal,
        *,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> None:
        """Add USDT to an isolated position's margin; a negative amount takes it out again.

        Raises:
            Rejected: -4049 cross, -4054 no position, -4050/-4051 not enough.
        """
        await self._gateway.write(
            f"move margin of {symbol}",
            lambda api: api.futures_change_position_margin(
                symbol=symbol,
                positionSide=position_side.value,
                amount=to_wire(abs(amount)),
                type=_ADD if amount > 0 else _REMOVE,
            ),
            _as_is,
            urgent=amount > 0,
        )

    async def get_key_rights(self) -> KeyRights:
        """Return what this key may do; the exchange's testnet does not answer this.

        Raises:
            VenueError: it could not be read.
        """
        return await self._gateway.read(
            "read the key's rights",
            lambda api: api.get_account_api_permissions(),
            decode_key_rights,
        )


def _as_is(answer: object) -> object:
    return answer
