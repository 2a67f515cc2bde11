"""Error codes about an order: whether it exists, is carried by the margin, can be matched.

Source: binance-usdm reference §5.2, §5.4.
"""

from __future__ import annotations

from typing import Final

from trader_cli.wire.code_terms import FIX_REQUEST, NOTHING, READ_AGAIN, Code, row
from trader_cli.wire.code_terms import CodeClass as C

# fmt: off
ROWS: Final[tuple[Code, ...]] = (
    # Order processing
    row(-2010, "NEW_ORDER_REJECTED", 400, C.RISK,
        "Read the exchange's words; the order was not accepted.",
        "NEW_ORDER_REJECTED"),
    row(-2011, "CANCEL_REJECTED", 400, C.OTHER, READ_AGAIN,
        "Unknown order sent."),
    row(-2012, "CANCEL_ALL_FAIL", 400, C.OTHER, READ_AGAIN,
        "Batch cancel failure."),
    row(-2013, "NO_SUCH_ORDER", 400, C.OTHER, READ_AGAIN,
        "Order does not exist."),
    row(-2014, "BAD_API_KEY_FMT", 401, C.AUTH, "Check the API key: its form is wrong.",
        "API-key format invalid."),
    row(-2015, "REJECTED_MBX_KEY", 401, C.AUTH,
        "Check the key, its futures permission, its IP restriction and that it is not a testnet "
        "key used on the live exchange or the other way round.",
        "Invalid API-key, IP, or permissions for action.",
        "Invalid API-key, IP, or permissions for action, request ip: %s"),
    row(-2017, "API_KEYS_LOCKED", 401, C.AUTH,
        "Unlock API keys in the exchange's account settings.",
        "API Keys are locked on this account."),
    row(-2018, "BALANCE_NOT_SUFFICIENT", 400, C.RISK,
        "Transfer funds to the futures wallet or choose a smaller amount.",
        "Balance is insufficient."),
    row(-2019, "MARGIN_NOT_SUFFICIEN", 400, C.RISK,
        "Choose a smaller quantity, or free margin by closing or cancelling.",
        "Margin is insufficient."),
    row(-2020, "UNABLE_TO_FILL", 400, C.RISK,
        "The book cannot fill it now; try a smaller quantity or a limit order.",
        "Unable to fill."),
    row(-2021, "ORDER_WOULD_IMMEDIATELY_TRIGGER", 400, C.RISK,
        "The trigger already lies on the wrong side of the price; move it.",
        "Order would immediately trigger."),
    row(-2022, "REDUCE_ONLY_REJECT", 400, C.RISK,
        "Check that the position still exists and what other exits rest.",
        "ReduceOnly Order is rejected."),
    row(-2023, "USER_IN_LIQUIDATION", 400, C.RISK,
        "The account is being liquidated; nothing can be sent until it is over.",
        "User in liquidation mode now."),
    row(-2024, "POSITION_NOT_SUFFICIENT", 400, C.RISK, "Close no more than the position holds.",
        "Position is not sufficient."),
    row(-2025, "MAX_OPEN_ORDER_EXCEEDED", 400, C.RISK,
        "Cancel some of the symbol's open orders.",
        "Reach max open order limit."),
    row(-2026, "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED", 400, C.RISK,
        "Choose another order type for the exit.",
        "This OrderType is not supported when reduceOnly."),
    row(-2027, "MAX_LEVERAGE_RATIO", 400, C.RISK, "Lower the leverage or the size.",
        "Exceeded the maximum allowable position at current leverage."),
    row(-2028, "MIN_LEVERAGE_RATIO", 400, C.RISK,
        "The margin does not carry so low a leverage; close something first.",
        "Leverage is smaller than permitted: insufficient margin balance."),
    # Matching engine
    row(-5021, "FOK_ORDER_REJECT", 400, C.RISK,
        "The whole quantity was not there at that price; nothing was filled.",
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history"),
    row(-5022, "GTX_ORDER_REJECT", 400, C.RISK,
        "The price would take from the book; move it away or drop post-only.",
        "Due to the order could not be executed as maker, the Post Only order will be "
        "rejected. The order will not be recorded in the order history"),
    row(-5024, "MOVE_ORDER_NOT_ALLOWED_SYMBOL_REASON", 400, C.RISK,
        "The symbol is not in trading now.",
        "Symbol is not in trading status. Order amendment is not permitted."),
    row(-5025, "LIMIT_ORDER_ONLY", 400, C.OTHER, "Only limit orders can be amended.",
        "Only limit order is supported."),
    row(-5026, "EXCEED_MAXIMUM_MODIFY_ORDER_LIMIT", 400, C.RISK,
        "Cancel the order and place it anew.",
        "Exceed maximum modify order limit."),
    row(-5027, "SAME_ORDER", 400, C.IDEMPOTENT_OK, NOTHING,
        "No need to modify the order."),
    row(-5028, "ME_RECVWINDOW_REJECT", 400, C.CLOCK,
        "The request was too slow or this computer's clock is off.",
        "Timestamp for this request is outside of the ME recvWindow."),
    row(-5029, "MODIFICATION_MIN_NOTIONAL", 400, C.FILTER, "Choose a larger quantity.",
        "Order's notional must be no smaller than %s"),
    row(-5037, "INVALID_PRICE_MATCH", 400, C.OTHER, FIX_REQUEST,
        "Invalid price match"),
    row(-5038, "UNSUPPORTED_ORDER_TYPE_PRICE_MATCH", 400, C.OTHER, FIX_REQUEST,
        "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT"),
    row(-5039, "INVALID_SELF_TRADE_PREVENTION_MODE", 400, C.OTHER, FIX_REQUEST,
        "Invalid self trade prevention mode"),
    row(-5040, "FUTURE_GOOD_TILL_DATE", 400, C.OTHER,
        "Let the order live for more than ten minutes.",
        "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
        "and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)"),
    row(-5041, "BBO_ORDER_REJECT", 400, C.RISK, "The book has no such level now.",
        "No depth matches this BBO order"),
    row(-5043, "EXISTING_PENDING_MODIFICATION", 400, C.OTHER,
        "Wait for the amendment that is under way.",
        "A pending modification already exists for this order."),
    row(-5047, "NOT_A_REDUCE_ONLY_ORDER", 400, C.OTHER,
        "An entry cannot be amended into an exit; cancel it.",
        "The original order is not a reduce-only order."),
)
# fmt: on
