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

_TABLE: Final[tuple[Code, ...]] = (
    # Infrastructure
    Code(
        -1000,
        "UNKNOWN",
        ("An unknown error occured while processing the request.",),
        500,
        _C.UNKNOWN,
        _ASK,
    ),
    Code(
        -1001,
        "DISCONNECTED",
        ("Internal error; unable to process your request. Please try again.",),
        503,
        _C.UNKNOWN,
        _ASK,
    ),
    Code(
        -1002,
        "UNAUTHORIZED",
        ("You are not authorized to execute this request.",),
        401,
        _C.AUTH,
        _CHECK_KEY,
    ),
    Code(
        -1003,
        "TOO_MANY_REQUESTS",
        (
            "Too many requests; current limit is %s requests per minute. Please use the websocket "
            "for live updates to avoid polling the API.",
            "Way too many requests; IP banned until %s. Please use the websocket for live updates "
            "to avoid bans.",
        ),
        429,
        _C.BAN,
        "Stop sending until the time named; every request lengthens a ban.",
    ),
    Code(
        -1006,
        "UNEXPECTED_RESP",
        ("An unexpected response was received from the message bus. Execution status unknown.",),
        400,
        _C.UNKNOWN,
        _ASK,
    ),
    Code(
        -1007,
        "TIMEOUT",
        (
            "Timeout waiting for response from backend server. Send status unknown; execution "
            "status unknown.",
        ),
        408,
        _C.UNKNOWN,
        _ASK,
    ),
    Code(
        -1008,
        "REQUEST_THROTTLED",
        (
            "Request throttled by system-level protection. Reduce-only/close-position orders are "
            "exempt. Please try again.",
            "Server is currently overloaded with other requests. Please try again in a few "
            "minutes.",
        ),
        503,
        _C.RETRY_SAFE,
        _WAIT,
    ),
    Code(-1010, "ERROR_MSG_RECEIVED", ("ERROR_MSG_RECEIVED.",), 400, _C.OTHER, _FIX_REQUEST),
    Code(-1011, "NON_WHITE_LIST", ("This IP cannot access this route.",), 400, _C.AUTH, _CHECK_KEY),
    Code(-1013, "INVALID_MESSAGE", ("INVALID_MESSAGE.",), 400, _C.OTHER, _FIX_REQUEST),
    Code(
        -1014,
        "UNKNOWN_ORDER_COMPOSITION",
        ("Unsupported order combination.",),
        400,
        _C.OTHER,
        "Choose another combination of order type and options.",
    ),
    Code(
        -1015,
        "TOO_MANY_ORDERS",
        ("Too many new orders; current limit is %s orders per %s.", "Too many new orders."),
        429,
        _C.RETRY_SAFE,
        "Send fewer orders; wait for the next ten seconds or minute.",
    ),
    Code(
        -1016,
        "SERVICE_SHUTTING_DOWN",
        ("This service is no longer available.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1020,
        "UNSUPPORTED_OPERATION",
        ("This operation is not supported.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1021,
        "INVALID_TIMESTAMP",
        (
            "Timestamp for this request is outside of the recvWindow.",
            "Timestamp for this request was 1000ms ahead of the server's time.",
        ),
        400,
        _C.CLOCK,
        "Set this computer's clock; it is off by more than the allowed window.",
    ),
    Code(
        -1022,
        "INVALID_SIGNATURE",
        ("Signature for this request is not valid.",),
        400,
        _C.AUTH,
        "Check that the API secret belongs to the API key.",
    ),
    Code(
        -1023,
        "START_TIME_GREATER_THAN_END_TIME",
        ("Start time is greater than end time.",),
        400,
        _C.OTHER,
        "Give a start that lies before the end.",
    ),
    Code(
        -1099,
        "NOT_FOUND",
        ("Not found, unauthenticated, or unauthorized.",),
        400,
        _C.AUTH,
        _CHECK_KEY,
    ),
    # Parameters
    Code(
        -1100,
        "ILLEGAL_CHARS",
        (
            "Illegal characters found in parameter '%s'; legal range is '%s'.",
            "Illegal characters found in a parameter.",
        ),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1101,
        "TOO_MANY_PARAMETERS",
        (
            "Too many parameters; expected '%s' and received '%s'.",
            "Duplicate values for a parameter detected.",
            "Too many parameters sent for this endpoint.",
        ),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1102,
        "MANDATORY_PARAM_EMPTY_OR_MALFORMED",
        (
            "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
            "Param '%s' or '%s' must be sent, but both were empty/null!",
            "A mandatory parameter was not sent, was empty/null, or malformed.",
        ),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(-1103, "UNKNOWN_PARAM", ("An unknown parameter was sent.",), 400, _C.OTHER, _FIX_REQUEST),
    Code(
        -1104,
        "UNREAD_PARAMETERS",
        (
            "Not all sent parameters were read; read '%s' parameter(s) but was sent '%s'.",
            "Not all sent parameters were read.",
        ),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1105,
        "PARAM_EMPTY",
        ("Parameter '%s' was empty.", "A parameter was empty."),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1106,
        "PARAM_NOT_REQUIRED",
        ("Parameter '%s' sent when not required.", "A parameter was sent when not required."),
        400,
        _C.OTHER,
        "Leave the option out; in hedge mode reduce-only is not allowed.",
    ),
    Code(-1108, "BAD_ASSET", ("Invalid asset.",), 400, _C.OTHER, "Check the asset's name."),
    Code(-1109, "BAD_ACCOUNT", ("Invalid account.",), 400, _C.AUTH, _CHECK_KEY),
    Code(
        -1111,
        "BAD_PRECISION",
        ("Precision is over the maximum defined for this asset.",),
        400,
        _C.FILTER,
        "Use fewer decimals: the symbol's tick and step say how many.",
    ),
    Code(
        -1112,
        "NO_DEPTH",
        ("No orders on book for symbol.",),
        400,
        _C.RISK,
        "Wait until the symbol's book has orders again.",
    ),
    Code(
        -1114,
        "TIF_NOT_REQUIRED",
        ("TimeInForce parameter sent when not required.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1115,
        "INVALID_TIF",
        ("Invalid timeInForce.",),
        400,
        _C.OTHER,
        "Use GTC, IOC, FOK, GTX or GTD.",
    ),
    Code(-1116, "INVALID_ORDER_TYPE", ("Invalid orderType.",), 400, _C.OTHER, _FIX_REQUEST),
    Code(-1117, "INVALID_SIDE", ("Invalid side.",), 400, _C.OTHER, "Use BUY or SELL."),
    Code(
        -1118,
        "EMPTY_NEW_CL_ORD_ID",
        ("New client order ID was empty.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1119,
        "EMPTY_ORG_CL_ORD_ID",
        ("Original client order ID was empty.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1120,
        "BAD_INTERVAL",
        ("Invalid interval.",),
        400,
        _C.OTHER,
        "Use a candle interval such as 1m, 5m, 1h or 1d.",
    ),
    Code(-1121, "BAD_SYMBOL", ("Invalid symbol.",), 400, _C.OTHER, "Check the symbol's name."),
    Code(
        -1122,
        "INVALID_SYMBOL_STATUS",
        ("Invalid symbol status.",),
        400,
        _C.RISK,
        "The symbol is not in trading now.",
    ),
    Code(
        -1125,
        "INVALID_LISTEN_KEY",
        (
            "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate "
            "`listenKey`",
        ),
        400,
        _C.OTHER,
        "The stream opens again with a new key by itself.",
    ),
    Code(
        -1127,
        "MORE_THAN_XX_HOURS",
        ("More than %s hours between startTime and endTime.", "Lookup interval is too big."),
        400,
        _C.OTHER,
        "Ask for a shorter span of time.",
    ),
    Code(
        -1128,
        "OPTIONAL_PARAMS_BAD_COMBO",
        ("Combination of optional parameters invalid.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1130,
        "INVALID_PARAMETER",
        ("Data sent for parameter '%s' is not valid.", "Invalid data sent for a parameter."),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -1136,
        "INVALID_NEW_ORDER_RESP_TYPE",
        ("Invalid newOrderRespType.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    # Order processing
    Code(
        -2010,
        "NEW_ORDER_REJECTED",
        ("NEW_ORDER_REJECTED",),
        400,
        _C.RISK,
        "Read the exchange's words; the order was not accepted.",
    ),
    Code(-2011, "CANCEL_REJECTED", ("Unknown order sent.",), 400, _C.OTHER, _READ_AGAIN),
    Code(-2012, "CANCEL_ALL_FAIL", ("Batch cancel failure.",), 400, _C.OTHER, _READ_AGAIN),
    Code(-2013, "NO_SUCH_ORDER", ("Order does not exist.",), 400, _C.OTHER, _READ_AGAIN),
    Code(
        -2014,
        "BAD_API_KEY_FMT",
        ("API-key format invalid.",),
        401,
        _C.AUTH,
        "Check the API key: its form is wrong.",
    ),
    Code(
        -2015,
        "REJECTED_MBX_KEY",
        (
            "Invalid API-key, IP, or permissions for action.",
            "Invalid API-key, IP, or permissions for action, request ip: %s",
        ),
        401,
        _C.AUTH,
        _CHECK_KEY + " A testnet key does not work on the live exchange.",
    ),
    Code(
        -2017,
        "API_KEYS_LOCKED",
        ("API Keys are locked on this account.",),
        401,
        _C.AUTH,
        "Unlock API keys in the exchange's account settings.",
    ),
    Code(
        -2018,
        "BALANCE_NOT_SUFFICIENT",
        ("Balance is insufficient.",),
        400,
        _C.RISK,
        "Transfer funds to the futures wallet or choose a smaller amount.",
    ),
    Code(
        -2019,
        "MARGIN_NOT_SUFFICIEN",
        ("Margin is insufficient.",),
        400,
        _C.RISK,
        "Choose a smaller quantity, or free margin by closing or cancelling.",
    ),
    Code(
        -2020,
        "UNABLE_TO_FILL",
        ("Unable to fill.",),
        400,
        _C.RISK,
        "The book cannot fill it now; try a smaller quantity or a limit order.",
    ),
    Code(
        -2021,
        "ORDER_WOULD_IMMEDIATELY_TRIGGER",
        ("Order would immediately trigger.",),
        400,
        _C.RISK,
        "The trigger already lies on the wrong side of the price; move it.",
    ),
    Code(
        -2022,
        "REDUCE_ONLY_REJECT",
        ("ReduceOnly Order is rejected.",),
        400,
        _C.RISK,
        "Check that the position still exists and what other exits rest.",
    ),
    Code(
        -2023,
        "USER_IN_LIQUIDATION",
        ("User in liquidation mode now.",),
        400,
        _C.RISK,
        "The account is being liquidated; nothing can be sent until it is over.",
    ),
    Code(
        -2024,
        "POSITION_NOT_SUFFICIENT",
        ("Position is not sufficient.",),
        400,
        _C.RISK,
        "Close no more than the position holds.",
    ),
    Code(
        -2025,
        "MAX_OPEN_ORDER_EXCEEDED",
        ("Reach max open order limit.",),
        400,
        _C.RISK,
        "Cancel some of the symbol's open orders.",
    ),
    Code(
        -2026,
        "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED",
        ("This OrderType is not supported when reduceOnly.",),
        400,
        _C.RISK,
        "Choose another order type for the exit.",
    ),
    Code(
        -2027,
        "MAX_LEVERAGE_RATIO",
        ("Exceeded the maximum allowable position at current leverage.",),
        400,
        _C.RISK,
        "Lower the leverage or the size.",
    ),
    Code(
        -2028,
        "MIN_LEVERAGE_RATIO",
        ("Leverage is smaller than permitted: insufficient margin balance.",),
        400,
        _C.RISK,
        "The margin does not carry so low a leverage; close something first.",
    ),
    # Filters and account settings
    Code(-4000, "INVALID_ORDER_STATUS", ("Invalid order status.",), 400, _C.OTHER, _READ_AGAIN),
    Code(-4001, "PRICE_LESS_THAN_ZERO", ("Price less than 0.",), 400, _C.FILTER, _TICK),
    Code(
        -4002,
        "PRICE_GREATER_THAN_MAX_PRICE",
        ("Price greater than max price.",),
        400,
        _C.FILTER,
        _TICK,
    ),
    Code(
        -4003,
        "QTY_LESS_THAN_ZERO",
        ("Quantity less than or equal to zero.",),
        400,
        _C.FILTER,
        _STEP,
    ),
    Code(
        -4004, "QTY_LESS_THAN_MIN_QTY", ("Quantity less than min quantity.",), 400, _C.FILTER, _STEP
    ),
    Code(
        -4005,
        "QTY_GREATER_THAN_MAX_QTY",
        ("Quantity greater than max quantity.",),
        400,
        _C.FILTER,
        _STEP,
    ),
    Code(
        -4006, "STOP_PRICE_LESS_THAN_ZERO", ("Stop price less than zero.",), 400, _C.FILTER, _TICK
    ),
    Code(
        -4007,
        "STOP_PRICE_GREATER_THAN_MAX_PRICE",
        ("Stop price greater than max price.",),
        400,
        _C.FILTER,
        _TICK,
    ),
    Code(
        -4013, "PRICE_LESS_THAN_MIN_PRICE", ("Price less than min price.",), 400, _C.FILTER, _TICK
    ),
    Code(
        -4014,
        "PRICE_NOT_INCREASED_BY_TICK_SIZE",
        ("Price not increased by tick size.",),
        400,
        _C.FILTER,
        _TICK,
    ),
    Code(
        -4015,
        "INVALID_CL_ORD_ID_LEN",
        (
            "Client order id is not valid.",
            "Client order id length should not be more than 36 chars",
        ),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4016,
        "PRICE_HIGHTER_THAN_MULTIPLIER_UP",
        ("Limit price can't be higher than %s", "Price is higher than mark price multiplier cap."),
        400,
        _C.FILTER,
        _BAND,
    ),
    Code(
        -4020,
        "TARGET_STRATEGY_INVALID",
        ("Target strategy invalid for orderType '%s',reduceOnly '%s'.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4021,
        "INVALID_DEPTH_LIMIT",
        ("'%s' is not valid depth limit.", "Invalid depth limit."),
        400,
        _C.OTHER,
        "Use a depth of 5, 10, 20, 50, 100, 500 or 1000.",
    ),
    Code(
        -4022,
        "WRONG_MARKET_STATUS",
        ("market status sent is not valid.",),
        400,
        _C.RISK,
        "The symbol is not in trading now.",
    ),
    Code(
        -4023,
        "QTY_NOT_INCREASED_BY_STEP_SIZE",
        ("Qty not increased by step size.",),
        400,
        _C.FILTER,
        _STEP,
    ),
    Code(
        -4024,
        "PRICE_LOWER_THAN_MULTIPLIER_DOWN",
        ("Limit price can't be lower than %s", "Price is lower than mark price multiplier floor."),
        400,
        _C.FILTER,
        _BAND,
    ),
    Code(
        -4028,
        "INVALID_LEVERAGE",
        ("Leverage %s is not valid", "Leverage %s already exist with %s", "Invalid leverage"),
        400,
        _C.OTHER,
        "Use a whole leverage inside the symbol's brackets.",
    ),
    Code(
        -4031,
        "INVALID_WORKING_TYPE",
        ("Invalid parameter working type: %s", "Invalid parameter working type"),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4032,
        "EXCEED_MAX_CANCEL_ORDER_SIZE",
        ("Exceed maximum cancel order size.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(-4044, "INVALID_BALANCE_TYPE", ("Balance Type is invalid.",), 400, _C.OTHER, _FIX_REQUEST),
    Code(
        -4045,
        "MAX_STOP_ORDER_EXCEEDED",
        ("Reach max stop order limit.",),
        400,
        _C.RISK,
        "Cancel some conditional orders; 200 may rest over all symbols.",
    ),
    Code(
        -4046,
        "NO_NEED_TO_CHANGE_MARGIN_TYPE",
        ("No need to change margin type.",),
        400,
        _C.IDEMPOTENT_OK,
        _NOTHING,
    ),
    Code(
        -4047,
        "THERE_EXISTS_OPEN_ORDERS",
        ("Margin type cannot be changed if there exists open orders.",),
        400,
        _C.RISK,
        "Cancel the symbol's open orders, conditional ones too.",
    ),
    Code(
        -4048,
        "THERE_EXISTS_QUANTITY",
        ("Margin type cannot be changed if there exists position.",),
        400,
        _C.RISK,
        "Close the symbol's position first.",
    ),
    Code(
        -4049,
        "ADD_ISOLATED_MARGIN_REJECT",
        ("Add margin only support for isolated position.",),
        400,
        _C.RISK,
        "Margin can only be added to an isolated position.",
    ),
    Code(
        -4050,
        "CROSS_BALANCE_INSUFFICIENT",
        ("Cross balance insufficient.",),
        400,
        _C.RISK,
        "Choose a smaller amount.",
    ),
    Code(
        -4051,
        "ISOLATED_BALANCE_INSUFFICIENT",
        ("Isolated balance insufficient.",),
        400,
        _C.RISK,
        "Choose a smaller amount.",
    ),
    Code(
        -4054,
        "ADD_ISOLATED_MARGIN_NO_POSITION_REJECT",
        ("Cannot add position margin: position is 0.",),
        400,
        _C.RISK,
        "There is no position to add margin to.",
    ),
    Code(
        -4055,
        "AMOUNT_MUST_BE_POSITIVE",
        ("Amount must be positive.",),
        400,
        _C.OTHER,
        "Give an amount above zero.",
    ),
    Code(
        -4059,
        "NO_NEED_TO_CHANGE_POSITION_SIDE",
        ("No need to change position side.",),
        400,
        _C.IDEMPOTENT_OK,
        _NOTHING,
    ),
    Code(
        -4060,
        "INVALID_POSITION_SIDE",
        ("Invalid position side.",),
        400,
        _C.OTHER,
        "Use BOTH in one-way mode, LONG or SHORT in hedge mode.",
    ),
    Code(
        -4061,
        "POSITION_SIDE_NOT_MATCH",
        ("Order's position side does not match user's setting.",),
        400,
        _C.OTHER,
        "Use BOTH in one-way mode, LONG or SHORT in hedge mode.",
    ),
    Code(
        -4062,
        "REDUCE_ONLY_CONFLICT",
        ("Invalid or improper reduceOnly value.",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4067,
        "POSITION_SIDE_CHANGE_EXISTS_OPEN_ORDERS",
        ("Position side cannot be changed if there exists open orders.",),
        400,
        _C.RISK,
        _FLATTEN,
    ),
    Code(
        -4068,
        "POSITION_SIDE_CHANGE_EXISTS_QUANTITY",
        ("Position side cannot be changed if there exists position.",),
        400,
        _C.RISK,
        _FLATTEN,
    ),
    Code(
        -4082,
        "INVALID_BATCH_PLACE_ORDER_SIZE",
        ("Invalid number of batch place orders: %s", "Invalid number of batch place orders."),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4083,
        "PLACE_BATCH_ORDERS_FAIL",
        ("Fail to place batch orders.",),
        400,
        _C.OTHER,
        _READ_AGAIN,
    ),
    Code(
        -4087,
        "REDUCE_ONLY_ORDER_PERMISSION",
        ("User can only place reduce only order",),
        400,
        _C.RISK,
        _REDUCE,
    ),
    Code(
        -4088,
        "NO_PLACE_ORDER_PERMISSION",
        ("User can not place order currently",),
        400,
        _C.RISK,
        "The exchange lets this account place no orders now.",
    ),
    Code(-4104, "INVALID_CONTRACT_TYPE", ("Invalid contract type",), 400, _C.OTHER, _FIX_REQUEST),
    Code(
        -4105,
        "SYMBOL_REDUCE_ONLY",
        ("Symbol is under position risk control, only reduce-only order is allowed.",),
        400,
        _C.RISK,
        _REDUCE,
    ),
    Code(
        -4106,
        "SYMBOL_REDUCE_ONLY_BUY",
        ("Symbol is under position risk control, buy order can only works with reduce-only.",),
        400,
        _C.RISK,
        _REDUCE,
    ),
    Code(
        -4107,
        "SYMBOL_REDUCE_ONLY_SELL",
        ("Symbol is under position risk control, sell order can only works with reduce-only.",),
        400,
        _C.RISK,
        _REDUCE,
    ),
    Code(
        -4109,
        "INACTIVE_ACCOUNT",
        ("Inactive account", "Transfer any amount of asset to future wallet to reactive"),
        400,
        _C.RISK,
        "Transfer funds to the futures wallet to activate the account.",
    ),
    Code(
        -4116,
        "DUPLICATED_CLIENT_ORDER_ID",
        ("clientOrderId is duplicated",),
        400,
        _C.OTHER,
        "An open order already has this client id; look that order up.",
    ),
    Code(
        -4117,
        "STOP_ORDER_TRIGGERING",
        ("stop order is triggering",),
        400,
        _C.OTHER,
        "The conditional order is firing; look at the order it becomes.",
    ),
    Code(
        -4118,
        "REDUCE_ONLY_MARGIN_CHECK_FAILED",
        ("ReduceOnly Order Failed. Please check your existing position and open orders",),
        400,
        _C.RISK,
        "Cancel resting exits of the symbol, then try again.",
    ),
    Code(
        -4120,
        "STOP_ORDER_SWITCH_ALGO",
        (
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
            "instead.",
        ),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4130,
        "CLOSE_POSITION_ORDER_EXISTS",
        (
            "An open stop or take profit order with GTE and closePosition in the direction is "
            "existing.",
        ),
        400,
        _C.RISK,
        "A close-position order already rests there; cancel or keep that one.",
    ),
    Code(
        -4131,
        "MARKET_ORDER_REJECT",
        ("The counterparty's best price does not meet the PERCENT_PRICE filter limit.",),
        400,
        _C.FILTER,
        "The book is too thin for a market order; use a limit order.",
    ),
    Code(-4135, "INVALID_ACTIVATION_PRICE", ("Invalid activation price",), 400, _C.FILTER, _TICK),
    Code(
        -4136,
        "INVALID_CLOSE_POSITION_STRATEGY",
        ("Target strategy invalid for orderType %s,closePosition %s",),
        400,
        _C.OTHER,
        "A trailing stop needs a quantity.",
    ),
    Code(
        -4137,
        "QUANTITY_EXISTS_WITH_CLOSE_POSITION",
        ("Quantity must be zero with closePosition equals true",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4138,
        "REDUCE_ONLY_MUST_BE_TRUE",
        ("Reduce only must be true with closePosition equals true",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -4139,
        "ORDER_TYPE_CANNOT_BE_MKT",
        ("Order type can not be market if it's unable to cancel",),
        400,
        _C.RISK,
        "Use a limit order.",
    ),
    Code(
        -4140,
        "INVALID_OPENING_POSITION_STATUS",
        ("Invalid symbol status for opening position",),
        400,
        _C.RISK,
        _REDUCE,
    ),
    Code(
        -4141,
        "SYMBOL_ALREADY_CLOSED",
        ("Symbol is closed",),
        400,
        _C.RISK,
        "The symbol is no longer traded.",
    ),
    Code(
        -4142,
        "STRATEGY_INVALID_TRIGGER_PRICE",
        ("REJECT: take profit or stop order will be triggered immediately",),
        400,
        _C.RISK,
        "The trigger already lies on the wrong side of the price; move it.",
    ),
    Code(-4144, "INVALID_PAIR", ("Invalid pair",), 400, _C.OTHER, "Check the symbol's name."),
    Code(
        -4161,
        "ISOLATED_LEVERAGE_REJECT_WITH_POSITION",
        ("Leverage reduction is not supported in Isolated Margin Mode with open positions",),
        400,
        _C.RISK,
        "Close the position before lowering its leverage.",
    ),
    Code(
        -4164,
        "MIN_NOTIONAL",
        ("Order's notional must be no smaller than %s (unless you choose reduce only)",),
        400,
        _C.FILTER,
        "Choose a larger quantity, or reduce-only for an exit.",
    ),
    Code(
        -4165,
        "INVALID_TIME_INTERVAL",
        ("Maximum time interval is %s days", "Invalid time interval"),
        400,
        _C.OTHER,
        "Ask for a shorter span of time.",
    ),
    Code(
        -4167,
        "ISOLATED_REJECT_WITH_JOINT_MARGIN",
        (
            "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under "
            "isolated-margin mode.",
        ),
        400,
        _C.RISK,
        "Set all symbols to cross margin first.",
    ),
    Code(
        -4168,
        "JOINT_MARGIN_REJECT_WITH_ISOLATED",
        ("Unable to adjust to isolated-margin mode under the Multi-Assets mode.",),
        400,
        _C.RISK,
        "Leave multi-assets mode to use isolated margin.",
    ),
    Code(
        -4169,
        "JOINT_MARGIN_REJECT_WITH_MB",
        ("Unable to adjust Multi-Assets Mode with insufficient margin balance in USDⓈ-M Futures.",),
        400,
        _C.RISK,
        "Add margin first.",
    ),
    Code(
        -4170,
        "JOINT_MARGIN_REJECT_WITH_OPEN_ORDER",
        ("Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures.",),
        400,
        _C.RISK,
        "Cancel the open orders first.",
    ),
    Code(
        -4171,
        "NO_NEED_TO_CHANGE_JOINT_MARGIN",
        ("Adjusted asset mode is currently set and does not need to be adjusted repeatedly.",),
        400,
        _C.IDEMPOTENT_OK,
        _NOTHING,
    ),
    Code(
        -4172,
        "JOINT_MARGIN_REJECT_WITH_NEGATIVE_BALANCE",
        (
            "Unable to adjust Multi-Assets Mode with a negative wallet balance of margin available "
            "asset in USDⓈ-M Futures account.",
        ),
        400,
        _C.RISK,
        "Settle the negative balance first.",
    ),
    Code(
        -4183,
        "PRICE_HIGHER_THAN_STOP_MULTIPLIER_UP",
        ("Limit price can't be higher than %s.", "Price is higher than stop price multiplier cap."),
        400,
        _C.FILTER,
        "Move the limit price closer to the trigger.",
    ),
    Code(
        -4184,
        "PRICE_LOWER_THAN_STOP_MULTIPLIER_DOWN",
        ("Limit price can't be lower than %s.", "Price is lower than stop price multiplier floor."),
        400,
        _C.FILTER,
        "Move the limit price closer to the trigger.",
    ),
    Code(
        -4189,
        "ACCOUNT_REDUCE_ONLY",
        ("Restricted account permission: can only place reduceOnly order on the symbol.",),
        400,
        _C.RISK,
        _REDUCE,
    ),
    Code(
        -4192,
        "COOLING_OFF_PERIOD",
        ("Trade forbidden due to Cooling-off Period.",),
        400,
        _C.RISK,
        "The account's cooling-off period must end first.",
    ),
    Code(
        -4202,
        "ADJUST_LEVERAGE_KYC_FAILED",
        ("Intermediate Personal Verification is required for adjusting leverage over 20x",),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4203,
        "ADJUST_LEVERAGE_ONE_MONTH_FAILED",
        ("More than 20x leverage is available one month after account registration.",),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4205,
        "ADJUST_LEVERAGE_X_DAYS_FAILED",
        ("More than 20x leverage is available %s days after Futures account registration.",),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4206,
        "ADJUST_LEVERAGE_KYC_LIMIT",
        (
            "Users in your location/country can only access a maximum leverage of %s",
            "Users in this country has limited adjust leverage.",
        ),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4208,
        "ADJUST_LEVERAGE_ACCOUNT_SYMBOL_FAILED",
        ("Current symbol leverage cannot exceed 20 when using position limit adjustment service.",),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4209,
        "ADJUST_LEVERAGE_SYMBOL_FAILED",
        (
            "Leverage adjustment failed. Current symbol max leverage limit is %sx",
            "The max leverage of Symbol is 20x",
        ),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4210,
        "STOP_PRICE_HIGHER_THAN_PRICE_MULTIPLIER_LIMIT",
        ("Stop price can't be higher than %s", "Stop price is higher than price multiplier cap."),
        400,
        _C.FILTER,
        _BAND,
    ),
    Code(
        -4211,
        "STOP_PRICE_LOWER_THAN_PRICE_MULTIPLIER_LIMIT",
        ("Stop price can't be lower than %s", "Stop price is lower than price multiplier floor."),
        400,
        _C.FILTER,
        _BAND,
    ),
    Code(
        -4400,
        "TRADING_QUANTITATIVE_RULE",
        (
            "Futures Trading Quantitative Rules violated, only reduceOnly order is allowed, please "
            "try again later.",
        ),
        400,
        _C.RISK,
        "Too many orders for too few fills: only exits pass for some minutes.",
    ),
    Code(
        -4401,
        "LARGE_POSITION_SYM_RULE",
        (
            "Futures Trading Risk Control Rules of large position holding violated, only reduceOnly "
            "order is allowed, please reduce the position. .",
        ),
        400,
        _C.RISK,
        "Reduce the position.",
    ),
    Code(
        -4402,
        "COMPLIANCE_BLACK_SYMBOL_RESTRICTION",
        (
            "Dear user, as per our Terms of Use and compliance with local regulations, this feature "
            "is currently not available in your region.",
        ),
        400,
        _C.AUTH,
        "The exchange does not offer this symbol in your region.",
    ),
    Code(
        -4403,
        "ADJUST_LEVERAGE_COMPLIANCE_FAILED",
        (
            "Dear user, as per our Terms of Use and compliance with local regulations, the leverage "
            "can only up to %sx in your region",
        ),
        400,
        _C.RISK,
        _LEVERAGE,
    ),
    Code(
        -4411,
        "TRADFI_AGREEMENT_MISSING",
        ("Please sign TradFi-Perps agreement contract fapi.",),
        400,
        _C.AUTH,
        "Sign the agreement for stock and metal contracts at the exchange.",
    ),
    Code(
        -4531,
        "UNDOCUMENTED_4531",
        ("Order rejected.",),
        400,
        _C.OTHER,
        "The exchange has not published what this code means.",
    ),
    # Routing and matching engine
    Code(-5000, "INVALID_PATH", ("Path %s, Method %s is invalid",), 404, _C.OTHER, _FIX_REQUEST),
    Code(
        -5021,
        "FOK_ORDER_REJECT",
        (
            "Due to the order could not be filled immediately, the FOK order has been rejected. "
            "The order will not be recorded in the order history",
        ),
        400,
        _C.RISK,
        "The whole quantity was not there at that price; nothing was filled.",
    ),
    Code(
        -5022,
        "GTX_ORDER_REJECT",
        (
            "Due to the order could not be executed as maker, the Post Only order will be "
            "rejected. The order will not be recorded in the order history",
        ),
        400,
        _C.RISK,
        "The price would take from the book; move it away or drop post-only.",
    ),
    Code(
        -5024,
        "MOVE_ORDER_NOT_ALLOWED_SYMBOL_REASON",
        ("Symbol is not in trading status. Order amendment is not permitted.",),
        400,
        _C.RISK,
        "The symbol is not in trading now.",
    ),
    Code(
        -5025,
        "LIMIT_ORDER_ONLY",
        ("Only limit order is supported.",),
        400,
        _C.OTHER,
        "Only limit orders can be amended.",
    ),
    Code(
        -5026,
        "EXCEED_MAXIMUM_MODIFY_ORDER_LIMIT",
        ("Exceed maximum modify order limit.",),
        400,
        _C.RISK,
        "Cancel the order and place it anew.",
    ),
    Code(-5027, "SAME_ORDER", ("No need to modify the order.",), 400, _C.IDEMPOTENT_OK, _NOTHING),
    Code(
        -5028,
        "ME_RECVWINDOW_REJECT",
        ("Timestamp for this request is outside of the ME recvWindow.",),
        400,
        _C.CLOCK,
        "The request was too slow or this computer's clock is off.",
    ),
    Code(
        -5029,
        "MODIFICATION_MIN_NOTIONAL",
        ("Order's notional must be no smaller than %s",),
        400,
        _C.FILTER,
        "Choose a larger quantity.",
    ),
    Code(-5037, "INVALID_PRICE_MATCH", ("Invalid price match",), 400, _C.OTHER, _FIX_REQUEST),
    Code(
        -5038,
        "UNSUPPORTED_ORDER_TYPE_PRICE_MATCH",
        ("Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -5039,
        "INVALID_SELF_TRADE_PREVENTION_MODE",
        ("Invalid self trade prevention mode",),
        400,
        _C.OTHER,
        _FIX_REQUEST,
    ),
    Code(
        -5040,
        "FUTURE_GOOD_TILL_DATE",
        (
            "The goodTillDate timestamp must be greater than the current time plus 600 seconds and "
            "smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
        ),
        400,
        _C.OTHER,
        "Let the order live for more than ten minutes.",
    ),
    Code(
        -5041,
        "BBO_ORDER_REJECT",
        ("No depth matches this BBO order",),
        400,
        _C.RISK,
        "The book has no such level now.",
    ),
    Code(
        -5043,
        "EXISTING_PENDING_MODIFICATION",
        ("A pending modification already exists for this order.",),
        400,
        _C.OTHER,
        "Wait for the amendment that is under way.",
    ),
    Code(
        -5047,
        "NOT_A_REDUCE_ONLY_ORDER",
        ("The original order is not a reduce-only order.",),
        400,
        _C.OTHER,
        "An entry cannot be amended into an exit; cancel it.",
    ),
)

_CODES: Final = {row.code: row for row in _TABLE}
assert len(_CODES) == len(_TABLE), "a code has one row"
