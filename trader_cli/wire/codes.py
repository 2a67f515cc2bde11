"""Binance's USD-M error codes: name, words on the wire, HTTP status, what they mean for a client.

One table for both sides: the client takes class and advice from it, the paper exchange the texts.
Knows nothing of requests; what a failed request means is decided in `exchange/failures.py`.
Match on codes, never on texts: the venue fills in numbers and varies full stops.

Source: binance-usdm reference §5.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final


@unique
class CodeClass(StrEnum):
    """What a client may conclude from a code."""

    UNKNOWN = "unknown"  # a write may have been executed: ask, do not repeat
    RETRY_SAFE = "retry_safe"  # proven not executed, may be repeated after a pause
    CLOCK = "clock"  # proven not executed, repeat once with a measured clock
    IDEMPOTENT_OK = "idempotent_ok"  # the wish was already fulfilled
    FILTER = "filter"  # price or quantity breaks a trading rule
    RISK = "risk"  # the account, position or market state forbids it
    AUTH = "auth"  # key, signature, rights or agreement
    BAN = "ban"  # the address is shut out for a while
    OTHER = "other"  # proven not executed, none of the above


@dataclass(frozen=True, slots=True)
class Code:
    """One error code.

    Attributes:
        templates: the venue's words, `%s` where it fills something in; the usual one first.
        http_status: the status the venue sends it with.
        advice: one sentence for the operator.
    """

    code: int
    name: str
    templates: tuple[str, ...]
    http_status: int
    kind: CodeClass
    advice: str


def describe(code: int) -> Code | None:
    """Return what is known of `code`, None for one that is not in the table."""
    return _CODES.get(code)


def message(code: int, *args: object, variant: int = 0) -> str:
    """Return the words the venue sends with `code`, its blanks filled with `args`.

    Of several wordings the first with as many blanks as `args` is taken, counted from `variant`.

    Raises:
        KeyError: the code is not in the table.
        ValueError: no wording has that many blanks.
    """
    for template in _CODES[code].templates[variant:]:
        if template.count("%s") == len(args):
            return template % args if args else template
    raise ValueError(f"no wording of {code} takes {len(args)} values")


_C = CodeClass

_FIX_REQUEST: Final = "Report this: the program sent a request the exchange does not understand."
_ASK: Final = "Look the order up before anything else: it may have been executed."
_CHECK_KEY: Final = "Check the API key, its futures permission and its IP restriction."
_WAIT: Final = "Wait; the exchange is overloaded and executed nothing."
_TICK: Final = "Use a price on the symbol's tick and inside its price range."
_STEP: Final = "Use a quantity on the symbol's step and inside its quantity range."
_BAND: Final = "Move the price closer to the mark price."
_REDUCE: Final = "Only orders that reduce a position are accepted for this symbol now."
_FLATTEN: Final = "Cancel the open orders and close the positions first."
_LEVERAGE: Final = "Choose a lower leverage."
_NOTHING: Final = "Nothing to do: it is already so."
_READ_AGAIN: Final = "Read the open orders again: the order may be finished or never have existed."


def _row(
    code: int, name: str, http_status: int, kind: CodeClass, advice: str, *templates: str
) -> Code:
    return Code(code, name, templates, http_status, kind, advice)


# fmt: off
_TABLE: Final[tuple[Code, ...]] = (
    # Infrastructure
    _row(-1000, "UNKNOWN", 500, _C.UNKNOWN, _ASK,
         "An unknown error occured while processing the request."),
    _row(-1001, "DISCONNECTED", 503, _C.UNKNOWN, _ASK,
         "Internal error; unable to process your request. Please try again."),
    _row(-1002, "UNAUTHORIZED", 401, _C.AUTH, _CHECK_KEY,
         "You are not authorized to execute this request."),
    _row(-1003, "TOO_MANY_REQUESTS", 429, _C.BAN,
         "Stop sending until the time named; every request lengthens a ban.",
         "Too many requests; current limit is %s requests per minute. Please use the "
         "websocket for live updates to avoid polling the API.",
         "Way too many requests; IP banned until %s. Please use the websocket for live "
         "updates to avoid bans."),
    _row(-1006, "UNEXPECTED_RESP", 400, _C.UNKNOWN, _ASK,
         "An unexpected response was received from the message bus. Execution status unknown."),
    _row(-1007, "TIMEOUT", 408, _C.UNKNOWN, _ASK,
         "Timeout waiting for response from backend server. Send status unknown; execution "
         "status unknown."),
    _row(-1008, "REQUEST_THROTTLED", 503, _C.RETRY_SAFE, _WAIT,
         "Request throttled by system-level protection. Reduce-only/close-position orders are "
         "exempt. Please try again.",
         "Server is currently overloaded with other requests. Please try again in a few "
         "minutes."),
    _row(-1010, "ERROR_MSG_RECEIVED", 400, _C.OTHER, _FIX_REQUEST,
         "ERROR_MSG_RECEIVED."),
    _row(-1011, "NON_WHITE_LIST", 400, _C.AUTH, _CHECK_KEY,
         "This IP cannot access this route."),
    _row(-1013, "INVALID_MESSAGE", 400, _C.OTHER, _FIX_REQUEST,
         "INVALID_MESSAGE."),
    _row(-1014, "UNKNOWN_ORDER_COMPOSITION", 400, _C.OTHER,
         "Choose another combination of order type and options.",
         "Unsupported order combination."),
    _row(-1015, "TOO_MANY_ORDERS", 429, _C.RETRY_SAFE,
         "Send fewer orders; wait for the next ten seconds or minute.",
         "Too many new orders; current limit is %s orders per %s.",
         "Too many new orders."),
    _row(-1016, "SERVICE_SHUTTING_DOWN", 400, _C.OTHER, _FIX_REQUEST,
         "This service is no longer available."),
    _row(-1020, "UNSUPPORTED_OPERATION", 400, _C.OTHER, _FIX_REQUEST,
         "This operation is not supported."),
    _row(-1021, "INVALID_TIMESTAMP", 400, _C.CLOCK,
         "Set this computer's clock; it is off by more than the allowed window.",
         "Timestamp for this request is outside of the recvWindow.",
         "Timestamp for this request was 1000ms ahead of the server's time."),
    _row(-1022, "INVALID_SIGNATURE", 400, _C.AUTH,
         "Check that the API secret belongs to the API key.",
         "Signature for this request is not valid."),
    _row(-1023, "START_TIME_GREATER_THAN_END_TIME", 400, _C.OTHER,
         "Give a start that lies before the end.",
         "Start time is greater than end time."),
    _row(-1099, "NOT_FOUND", 400, _C.AUTH, _CHECK_KEY,
         "Not found, unauthenticated, or unauthorized."),
    # Parameters
    _row(-1100, "ILLEGAL_CHARS", 400, _C.OTHER, _FIX_REQUEST,
         "Illegal characters found in parameter '%s'; legal range is '%s'.",
         "Illegal characters found in a parameter."),
    _row(-1101, "TOO_MANY_PARAMETERS", 400, _C.OTHER, _FIX_REQUEST,
         "Too many parameters; expected '%s' and received '%s'.",
         "Duplicate values for a parameter detected.",
         "Too many parameters sent for this endpoint."),
    _row(-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED", 400, _C.OTHER, _FIX_REQUEST,
         "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
         "Param '%s' or '%s' must be sent, but both were empty/null!",
         "A mandatory parameter was not sent, was empty/null, or malformed."),
    _row(-1103, "UNKNOWN_PARAM", 400, _C.OTHER, _FIX_REQUEST,
         "An unknown parameter was sent."),
    _row(-1104, "UNREAD_PARAMETERS", 400, _C.OTHER, _FIX_REQUEST,
         "Not all sent parameters were read; read '%s' parameter(s) but was sent '%s'.",
         "Not all sent parameters were read."),
    _row(-1105, "PARAM_EMPTY", 400, _C.OTHER, _FIX_REQUEST,
         "Parameter '%s' was empty.",
         "A parameter was empty."),
    _row(-1106, "PARAM_NOT_REQUIRED", 400, _C.OTHER,
         "Leave the option out; in hedge mode reduce-only is not allowed.",
         "Parameter '%s' sent when not required.",
         "A parameter was sent when not required."),
    _row(-1108, "BAD_ASSET", 400, _C.OTHER, "Check the asset's name.",
         "Invalid asset."),
    _row(-1109, "BAD_ACCOUNT", 400, _C.AUTH, _CHECK_KEY,
         "Invalid account."),
    _row(-1111, "BAD_PRECISION", 400, _C.FILTER,
         "Use fewer decimals: the symbol's tick and step say how many.",
         "Precision is over the maximum defined for this asset."),
    _row(-1112, "NO_DEPTH", 400, _C.RISK, "Wait until the symbol's book has orders again.",
         "No orders on book for symbol."),
    _row(-1114, "TIF_NOT_REQUIRED", 400, _C.OTHER, _FIX_REQUEST,
         "TimeInForce parameter sent when not required."),
    _row(-1115, "INVALID_TIF", 400, _C.OTHER, "Use GTC, IOC, FOK, GTX or GTD.",
         "Invalid timeInForce."),
    _row(-1116, "INVALID_ORDER_TYPE", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid orderType."),
    _row(-1117, "INVALID_SIDE", 400, _C.OTHER, "Use BUY or SELL.",
         "Invalid side."),
    _row(-1118, "EMPTY_NEW_CL_ORD_ID", 400, _C.OTHER, _FIX_REQUEST,
         "New client order ID was empty."),
    _row(-1119, "EMPTY_ORG_CL_ORD_ID", 400, _C.OTHER, _FIX_REQUEST,
         "Original client order ID was empty."),
    _row(-1120, "BAD_INTERVAL", 400, _C.OTHER, "Use a candle interval such as 1m, 5m, 1h or 1d.",
         "Invalid interval."),
    _row(-1121, "BAD_SYMBOL", 400, _C.OTHER, "Check the symbol's name.",
         "Invalid symbol."),
    _row(-1122, "INVALID_SYMBOL_STATUS", 400, _C.RISK, "The symbol is not in trading now.",
         "Invalid symbol status."),
    _row(-1125, "INVALID_LISTEN_KEY", 400, _C.OTHER,
         "The stream opens again with a new key by itself.",
         "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate "
         "`listenKey`"),
    _row(-1127, "MORE_THAN_XX_HOURS", 400, _C.OTHER, "Ask for a shorter span of time.",
         "More than %s hours between startTime and endTime.",
         "Lookup interval is too big."),
    _row(-1128, "OPTIONAL_PARAMS_BAD_COMBO", 400, _C.OTHER, _FIX_REQUEST,
         "Combination of optional parameters invalid."),
    _row(-1130, "INVALID_PARAMETER", 400, _C.OTHER, _FIX_REQUEST,
         "Data sent for parameter '%s' is not valid.",
         "Invalid data sent for a parameter."),
    _row(-1131, "BAD_RECV_WINDOW", 400, _C.OTHER, _FIX_REQUEST,
         "recvWindow must be less than %s"),
    _row(-1136, "INVALID_NEW_ORDER_RESP_TYPE", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid newOrderRespType."),
    # Order processing
    _row(-2010, "NEW_ORDER_REJECTED", 400, _C.RISK,
         "Read the exchange's words; the order was not accepted.",
         "NEW_ORDER_REJECTED"),
    _row(-2011, "CANCEL_REJECTED", 400, _C.OTHER, _READ_AGAIN,
         "Unknown order sent."),
    _row(-2012, "CANCEL_ALL_FAIL", 400, _C.OTHER, _READ_AGAIN,
         "Batch cancel failure."),
    _row(-2013, "NO_SUCH_ORDER", 400, _C.OTHER, _READ_AGAIN,
         "Order does not exist."),
    _row(-2014, "BAD_API_KEY_FMT", 401, _C.AUTH, "Check the API key: its form is wrong.",
         "API-key format invalid."),
    _row(-2015, "REJECTED_MBX_KEY", 401, _C.AUTH,
         "Check the key, its futures permission, its IP restriction and that it is not a testnet "
         "key used on the live exchange or the other way round.",
         "Invalid API-key, IP, or permissions for action.",
         "Invalid API-key, IP, or permissions for action, request ip: %s"),
    _row(-2017, "API_KEYS_LOCKED", 401, _C.AUTH,
         "Unlock API keys in the exchange's account settings.",
         "API Keys are locked on this account."),
    _row(-2018, "BALANCE_NOT_SUFFICIENT", 400, _C.RISK,
         "Transfer funds to the futures wallet or choose a smaller amount.",
         "Balance is insufficient."),
    _row(-2019, "MARGIN_NOT_SUFFICIEN", 400, _C.RISK,
         "Choose a smaller quantity, or free margin by closing or cancelling.",
         "Margin is insufficient."),
    _row(-2020, "UNABLE_TO_FILL", 400, _C.RISK,
         "The book cannot fill it now; try a smaller quantity or a limit order.",
         "Unable to fill."),
    _row(-2021, "ORDER_WOULD_IMMEDIATELY_TRIGGER", 400, _C.RISK,
         "The trigger already lies on the wrong side of the price; move it.",
         "Order would immediately trigger."),
    _row(-2022, "REDUCE_ONLY_REJECT", 400, _C.RISK,
         "Check that the position still exists and what other exits rest.",
         "ReduceOnly Order is rejected."),
    _row(-2023, "USER_IN_LIQUIDATION", 400, _C.RISK,
         "The account is being liquidated; nothing can be sent until it is over.",
         "User in liquidation mode now."),
    _row(-2024, "POSITION_NOT_SUFFICIENT", 400, _C.RISK, "Close no more than the position holds.",
         "Position is not sufficient."),
    _row(-2025, "MAX_OPEN_ORDER_EXCEEDED", 400, _C.RISK,
         "Cancel some of the symbol's open orders.",
         "Reach max open order limit."),
    _row(-2026, "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED", 400, _C.RISK,
         "Choose another order type for the exit.",
         "This OrderType is not supported when reduceOnly."),
    _row(-2027, "MAX_LEVERAGE_RATIO", 400, _C.RISK, "Lower the leverage or the size.",
         "Exceeded the maximum allowable position at current leverage."),
    _row(-2028, "MIN_LEVERAGE_RATIO", 400, _C.RISK,
         "The margin does not carry so low a leverage; close something first.",
         "Leverage is smaller than permitted: insufficient margin balance."),
    # Filters and account settings
    _row(-4000, "INVALID_ORDER_STATUS", 400, _C.OTHER, _READ_AGAIN,
         "Invalid order status."),
    _row(-4001, "PRICE_LESS_THAN_ZERO", 400, _C.FILTER, _TICK,
         "Price less than 0."),
    _row(-4002, "PRICE_GREATER_THAN_MAX_PRICE", 400, _C.FILTER, _TICK,
         "Price greater than max price."),
    _row(-4003, "QTY_LESS_THAN_ZERO", 400, _C.FILTER, _STEP,
         "Quantity less than or equal to zero."),
    _row(-4004, "QTY_LESS_THAN_MIN_QTY", 400, _C.FILTER, _STEP,
         "Quantity less than min quantity."),
    _row(-4005, "QTY_GREATER_THAN_MAX_QTY", 400, _C.FILTER, _STEP,
         "Quantity greater than max quantity."),
    _row(-4006, "STOP_PRICE_LESS_THAN_ZERO", 400, _C.FILTER, _TICK,
         "Stop price less than zero."),
    _row(-4007, "STOP_PRICE_GREATER_THAN_MAX_PRICE", 400, _C.FILTER, _TICK,
         "Stop price greater than max price."),
    _row(-4013, "PRICE_LESS_THAN_MIN_PRICE", 400, _C.FILTER, _TICK,
         "Price less than min price."),
    _row(-4014, "PRICE_NOT_INCREASED_BY_TICK_SIZE", 400, _C.FILTER, _TICK,
         "Price not increased by tick size."),
    _row(-4015, "INVALID_CL_ORD_ID_LEN", 400, _C.OTHER, _FIX_REQUEST,
         "Client order id is not valid.",
         "Client order id length should not be more than 36 chars"),
    _row(-4016, "PRICE_HIGHTER_THAN_MULTIPLIER_UP", 400, _C.FILTER, _BAND,
         "Limit price can't be higher than %s",
         "Price is higher than mark price multiplier cap."),
    _row(-4020, "TARGET_STRATEGY_INVALID", 400, _C.OTHER, _FIX_REQUEST,
         "Target strategy invalid for orderType '%s',reduceOnly '%s'."),
    _row(-4021, "INVALID_DEPTH_LIMIT", 400, _C.OTHER,
         "Use a depth of 5, 10, 20, 50, 100, 500 or 1000.",
         "'%s' is not valid depth limit.",
         "Invalid depth limit."),
    _row(-4022, "WRONG_MARKET_STATUS", 400, _C.RISK, "The symbol is not in trading now.",
         "market status sent is not valid."),
    _row(-4023, "QTY_NOT_INCREASED_BY_STEP_SIZE", 400, _C.FILTER, _STEP,
         "Qty not increased by step size."),
    _row(-4024, "PRICE_LOWER_THAN_MULTIPLIER_DOWN", 400, _C.FILTER, _BAND,
         "Limit price can't be lower than %s",
         "Price is lower than mark price multiplier floor."),
    _row(-4028, "INVALID_LEVERAGE", 400, _C.OTHER,
         "Use a whole leverage inside the symbol's brackets.",
         "Leverage %s is not valid",
         "Leverage %s already exist with %s",
         "Invalid leverage"),
    _row(-4031, "INVALID_WORKING_TYPE", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid parameter working type: %s",
         "Invalid parameter working type"),
    _row(-4032, "EXCEED_MAX_CANCEL_ORDER_SIZE", 400, _C.OTHER, _FIX_REQUEST,
         "Exceed maximum cancel order size."),
    _row(-4044, "INVALID_BALANCE_TYPE", 400, _C.OTHER, _FIX_REQUEST,
         "Balance Type is invalid."),
    _row(-4045, "MAX_STOP_ORDER_EXCEEDED", 400, _C.RISK,
         "Cancel some conditional orders; 200 may rest over all symbols.",
         "Reach max stop order limit."),
    _row(-4046, "NO_NEED_TO_CHANGE_MARGIN_TYPE", 400, _C.IDEMPOTENT_OK, _NOTHING,
         "No need to change margin type."),
    _row(-4047, "THERE_EXISTS_OPEN_ORDERS", 400, _C.RISK,
         "Cancel the symbol's open orders, conditional ones too.",
         "Margin type cannot be changed if there exists open orders."),
    _row(-4048, "THERE_EXISTS_QUANTITY", 400, _C.RISK, "Close the symbol's position first.",
         "Margin type cannot be changed if there exists position."),
    _row(-4049, "ADD_ISOLATED_MARGIN_REJECT", 400, _C.RISK,
         "Margin can only be added to an isolated position.",
         "Add margin only support for isolated position."),
    _row(-4050, "CROSS_BALANCE_INSUFFICIENT", 400, _C.RISK, "Choose a smaller amount.",
         "Cross balance insufficient."),
    _row(-4051, "ISOLATED_BALANCE_INSUFFICIENT", 400, _C.RISK, "Choose a smaller amount.",
         "Isolated balance insufficient."),
    _row(-4054, "ADD_ISOLATED_MARGIN_NO_POSITION_REJECT", 400, _C.RISK,
         "There is no position to add margin to.",
         "Cannot add position margin: position is 0."),
    _row(-4055, "AMOUNT_MUST_BE_POSITIVE", 400, _C.OTHER, "Give an amount above zero.",
         "Amount must be positive."),
    _row(-4056, "INVALID_API_KEY_TYPE", 400, _C.AUTH, "Use an Ed25519 key.",
         "Invalid api key type."),
    _row(-4057, "INVALID_RSA_PUBLIC_KEY", 400, _C.AUTH, "Register the key's public half as PEM.",
         "Invalid api public key"),
    _row(-4059, "NO_NEED_TO_CHANGE_POSITION_SIDE", 400, _C.IDEMPOTENT_OK, _NOTHING,
         "No need to change position side."),
    _row(-4060, "INVALID_POSITION_SIDE", 400, _C.OTHER,
         "Use BOTH in one-way mode, LONG or SHORT in hedge mode.",
         "Invalid position side."),
    _row(-4061, "POSITION_SIDE_NOT_MATCH", 400, _C.OTHER,
         "Use BOTH in one-way mode, LONG or SHORT in hedge mode.",
         "Order's position side does not match user's setting."),
    _row(-4062, "REDUCE_ONLY_CONFLICT", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid or improper reduceOnly value."),
    _row(-4067, "POSITION_SIDE_CHANGE_EXISTS_OPEN_ORDERS", 400, _C.RISK, _FLATTEN,
         "Position side cannot be changed if there exists open orders."),
    _row(-4068, "POSITION_SIDE_CHANGE_EXISTS_QUANTITY", 400, _C.RISK, _FLATTEN,
         "Position side cannot be changed if there exists position."),
    _row(-4082, "INVALID_BATCH_PLACE_ORDER_SIZE", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid number of batch place orders: %s",
         "Invalid number of batch place orders."),
    _row(-4083, "PLACE_BATCH_ORDERS_FAIL", 400, _C.OTHER, _READ_AGAIN,
         "Fail to place batch orders."),
    _row(-4087, "REDUCE_ONLY_ORDER_PERMISSION", 400, _C.RISK, _REDUCE,
         "User can only place reduce only order"),
    _row(-4088, "NO_PLACE_ORDER_PERMISSION", 400, _C.RISK,
         "The exchange lets this account place no orders now.",
         "User can not place order currently"),
    _row(-4104, "INVALID_CONTRACT_TYPE", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid contract type"),
    _row(-4105, "SYMBOL_REDUCE_ONLY", 400, _C.RISK, _REDUCE,
         "Symbol is under position risk control, only reduce-only order is allowed."),
    _row(-4106, "SYMBOL_REDUCE_ONLY_BUY", 400, _C.RISK, _REDUCE,
         "Symbol is under position risk control, buy order can only works with reduce-only."),
    _row(-4107, "SYMBOL_REDUCE_ONLY_SELL", 400, _C.RISK, _REDUCE,
         "Symbol is under position risk control, sell order can only works with reduce-only."),
    _row(-4109, "INACTIVE_ACCOUNT", 400, _C.RISK,
         "Transfer funds to the futures wallet to activate the account.",
         "Inactive account",
         "Transfer any amount of asset to future wallet to reactive"),
    _row(-4116, "DUPLICATED_CLIENT_ORDER_ID", 400, _C.OTHER,
         "An open order already has this client id; look that order up.",
         "clientOrderId is duplicated"),
    _row(-4117, "STOP_ORDER_TRIGGERING", 400, _C.OTHER,
         "The conditional order is firing; look at the order it becomes.",
         "stop order is triggering"),
    _row(-4118, "REDUCE_ONLY_MARGIN_CHECK_FAILED", 400, _C.RISK,
         "Cancel resting exits of the symbol, then try again.",
         "ReduceOnly Order Failed. Please check your existing position and open orders"),
    _row(-4120, "STOP_ORDER_SWITCH_ALGO", 400, _C.OTHER, _FIX_REQUEST,
         "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
         "instead."),
    _row(-4130, "CLOSE_POSITION_ORDER_EXISTS", 400, _C.RISK,
         "A close-position order already rests there; cancel or keep that one.",
         "An open stop or take profit order with GTE and closePosition in the direction is "
         "existing."),
    _row(-4131, "MARKET_ORDER_REJECT", 400, _C.FILTER,
         "The book is too thin for a market order; use a limit order.",
         "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    _row(-4135, "INVALID_ACTIVATION_PRICE", 400, _C.FILTER, _TICK,
         "Invalid activation price"),
    _row(-4136, "INVALID_CLOSE_POSITION_STRATEGY", 400, _C.OTHER,
         "A trailing stop needs a quantity.",
         "Target strategy invalid for orderType %s,closePosition %s"),
    _row(-4137, "QUANTITY_EXISTS_WITH_CLOSE_POSITION", 400, _C.OTHER, _FIX_REQUEST,
         "Quantity must be zero with closePosition equals true"),
    _row(-4138, "REDUCE_ONLY_MUST_BE_TRUE", 400, _C.OTHER, _FIX_REQUEST,
         "Reduce only must be true with closePosition equals true"),
    _row(-4139, "ORDER_TYPE_CANNOT_BE_MKT", 400, _C.RISK, "Use a limit order.",
         "Order type can not be market if it's unable to cancel"),
    _row(-4140, "INVALID_OPENING_POSITION_STATUS", 400, _C.RISK, _REDUCE,
         "Invalid symbol status for opening position"),
    _row(-4141, "SYMBOL_ALREADY_CLOSED", 400, _C.RISK, "The symbol is no longer traded.",
         "Symbol is closed"),
    _row(-4142, "STRATEGY_INVALID_TRIGGER_PRICE", 400, _C.RISK,
         "The trigger already lies on the wrong side of the price; move it.",
         "REJECT: take profit or stop order will be triggered immediately"),
    _row(-4144, "INVALID_PAIR", 400, _C.OTHER, "Check the symbol's name.",
         "Invalid pair"),
    _row(-4161, "ISOLATED_LEVERAGE_REJECT_WITH_POSITION", 400, _C.RISK,
         "Close the position before lowering its leverage.",
         "Leverage reduction is not supported in Isolated Margin Mode with open positions"),
    _row(-4164, "MIN_NOTIONAL", 400, _C.FILTER,
         "Choose a larger quantity, or reduce-only for an exit.",
         "Order's notional must be no smaller than %s (unless you choose reduce only)"),
    _row(-4165, "INVALID_TIME_INTERVAL", 400, _C.OTHER, "Ask for a shorter span of time.",
         "Maximum time interval is %s days",
         "Invalid time interval"),
    _row(-4167, "ISOLATED_REJECT_WITH_JOINT_MARGIN", 400, _C.RISK,
         "Set all symbols to cross margin first.",
         "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under "
         "isolated-margin mode."),
    _row(-4168, "JOINT_MARGIN_REJECT_WITH_ISOLATED", 400, _C.RISK,
         "Leave multi-assets mode to use isolated margin.",
         "Unable to adjust to isolated-margin mode under the Multi-Assets mode."),
    _row(-4169, "JOINT_MARGIN_REJECT_WITH_MB", 400, _C.RISK, "Add margin first.",
         "Unable to adjust Multi-Assets Mode with insufficient margin balance in USDⓈ-M "
         "Futures."),
    _row(-4170, "JOINT_MARGIN_REJECT_WITH_OPEN_ORDER", 400, _C.RISK,
         "Cancel the open orders first.",
         "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures."),
    _row(-4171, "NO_NEED_TO_CHANGE_JOINT_MARGIN", 400, _C.IDEMPOTENT_OK, _NOTHING,
         "Adjusted asset mode is currently set and does not need to be adjusted repeatedly."),
    _row(-4172, "JOINT_MARGIN_REJECT_WITH_NEGATIVE_BALANCE", 400, _C.RISK,
         "Settle the negative balance first.",
         "Unable to adjust Multi-Assets Mode with a negative wallet balance of margin "
         "available asset in USDⓈ-M Futures account."),
    _row(-4183, "PRICE_HIGHER_THAN_STOP_MULTIPLIER_UP", 400, _C.FILTER,
         "Move the limit price closer to the trigger.",
         "Limit price can't be higher than %s.",
         "Price is higher than stop price multiplier cap."),
    _row(-4184, "PRICE_LOWER_THAN_STOP_MULTIPLIER_DOWN", 400, _C.FILTER,
         "Move the limit price closer to the trigger.",
         "Limit price can't be lower than %s.",
         "Price is lower than stop price multiplier floor."),
    _row(-4189, "ACCOUNT_REDUCE_ONLY", 400, _C.RISK, _REDUCE,
         "Restricted account permission: can only place reduceOnly order on the symbol."),
    _row(-4192, "COOLING_OFF_PERIOD", 400, _C.RISK,
         "The account's cooling-off period must end first.",
         "Trade forbidden due to Cooling-off Period."),
    _row(-4202, "ADJUST_LEVERAGE_KYC_FAILED", 400, _C.RISK, _LEVERAGE,
         "Intermediate Personal Verification is required for adjusting leverage over 20x"),
    _row(-4203, "ADJUST_LEVERAGE_ONE_MONTH_FAILED", 400, _C.RISK, _LEVERAGE,
         "More than 20x leverage is available one month after account registration."),
    _row(-4205, "ADJUST_LEVERAGE_X_DAYS_FAILED", 400, _C.RISK, _LEVERAGE,
         "More than 20x leverage is available %s days after Futures account registration."),
    _row(-4206, "ADJUST_LEVERAGE_KYC_LIMIT", 400, _C.RISK, _LEVERAGE,
         "Users in your location/country can only access a maximum leverage of %s",
         "Users in this country has limited adjust leverage."),
    _row(-4208, "ADJUST_LEVERAGE_ACCOUNT_SYMBOL_FAILED", 400, _C.RISK, _LEVERAGE,
         "Current symbol leverage cannot exceed 20 when using position limit adjustment "
         "service."),
    _row(-4209, "ADJUST_LEVERAGE_SYMBOL_FAILED", 400, _C.RISK, _LEVERAGE,
         "Leverage adjustment failed. Current symbol max leverage limit is %sx",
         "The max leverage of Symbol is 20x"),
    _row(-4210, "STOP_PRICE_HIGHER_THAN_PRICE_MULTIPLIER_LIMIT", 400, _C.FILTER, _BAND,
         "Stop price can't be higher than %s",
         "Stop price is higher than price multiplier cap."),
    _row(-4211, "STOP_PRICE_LOWER_THAN_PRICE_MULTIPLIER_LIMIT", 400, _C.FILTER, _BAND,
         "Stop price can't be lower than %s",
         "Stop price is lower than price multiplier floor."),
    _row(-4400, "TRADING_QUANTITATIVE_RULE", 400, _C.RISK,
         "Too many orders for too few fills: only exits pass for some minutes.",
         "Futures Trading Quantitative Rules violated, only reduceOnly order is allowed, "
         "please try again later."),
    _row(-4401, "LARGE_POSITION_SYM_RULE", 400, _C.RISK, "Reduce the position.",
         "Futures Trading Risk Control Rules of large position holding violated, only "
         "reduceOnly order is allowed, please reduce the position. ."),
    _row(-4402, "COMPLIANCE_BLACK_SYMBOL_RESTRICTION", 400, _C.AUTH,
         "The exchange does not offer this symbol in your region.",
         "Dear user, as per our Terms of Use and compliance with local regulations, this "
         "feature is currently not available in your region."),
    _row(-4403, "ADJUST_LEVERAGE_COMPLIANCE_FAILED", 400, _C.RISK, _LEVERAGE,
         "Dear user, as per our Terms of Use and compliance with local regulations, the "
         "leverage can only up to %sx in your region"),
    _row(-4411, "TRADFI_AGREEMENT_MISSING", 400, _C.AUTH,
         "Sign the agreement for stock and metal contracts at the exchange.",
         "Please sign TradFi-Perps agreement contract fapi."),
    # Routing and matching engine
    _row(-5000, "INVALID_PATH", 404, _C.OTHER, _FIX_REQUEST,
         "Path %s, Method %s is invalid"),
    _row(-5021, "FOK_ORDER_REJECT", 400, _C.RISK,
         "The whole quantity was not there at that price; nothing was filled.",
         "Due to the order could not be filled immediately, the FOK order has been rejected. "
         "The order will not be recorded in the order history"),
    _row(-5022, "GTX_ORDER_REJECT", 400, _C.RISK,
         "The price would take from the book; move it away or drop post-only.",
         "Due to the order could not be executed as maker, the Post Only order will be "
         "rejected. The order will not be recorded in the order history"),
    _row(-5024, "MOVE_ORDER_NOT_ALLOWED_SYMBOL_REASON", 400, _C.RISK,
         "The symbol is not in trading now.",
         "Symbol is not in trading status. Order amendment is not permitted."),
    _row(-5025, "LIMIT_ORDER_ONLY", 400, _C.OTHER, "Only limit orders can be amended.",
         "Only limit order is supported."),
    _row(-5026, "EXCEED_MAXIMUM_MODIFY_ORDER_LIMIT", 400, _C.RISK,
         "Cancel the order and place it anew.",
         "Exceed maximum modify order limit."),
    _row(-5027, "SAME_ORDER", 400, _C.IDEMPOTENT_OK, _NOTHING,
         "No need to modify the order."),
    _row(-5028, "ME_RECVWINDOW_REJECT", 400, _C.CLOCK,
         "The request was too slow or this computer's clock is off.",
         "Timestamp for this request is outside of the ME recvWindow."),
    _row(-5029, "MODIFICATION_MIN_NOTIONAL", 400, _C.FILTER, "Choose a larger quantity.",
         "Order's notional must be no smaller than %s"),
    _row(-5037, "INVALID_PRICE_MATCH", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid price match"),
    _row(-5038, "UNSUPPORTED_ORDER_TYPE_PRICE_MATCH", 400, _C.OTHER, _FIX_REQUEST,
         "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT"),
    _row(-5039, "INVALID_SELF_TRADE_PREVENTION_MODE", 400, _C.OTHER, _FIX_REQUEST,
         "Invalid self trade prevention mode"),
    _row(-5040, "FUTURE_GOOD_TILL_DATE", 400, _C.OTHER,
         "Let the order live for more than ten minutes.",
         "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
         "and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)"),
    _row(-5041, "BBO_ORDER_REJECT", 400, _C.RISK, "The book has no such level now.",
         "No depth matches this BBO order"),
    _row(-5043, "EXISTING_PENDING_MODIFICATION", 400, _C.OTHER,
         "Wait for the amendment that is under way.",
         "A pending modification already exists for this order."),
    _row(-5047, "NOT_A_REDUCE_ONLY_ORDER", 400, _C.OTHER,
         "An entry cannot be amended into an exit; cancel it.",
         "The original order is not a reduce-only order."),
)
# fmt: on

_CODES: Final = {row.code: row for row in _TABLE}
assert len(_CODES) == len(_TABLE), "a code has one row"
