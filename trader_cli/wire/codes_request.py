"""Error codes about the request itself: limits, clock, key, parameters, path.

Source: binance-usdm reference §5.1.
"""

from __future__ import annotations

from typing import Final

from trader_cli.wire.code_terms import FIX_REQUEST, Code, row
from trader_cli.wire.code_terms import CodeClass as C

ASK: Final = "Look the order up before anything else: it may have been executed."
CHECK_KEY: Final = "Check the API key, its futures permission and its IP restriction."
WAIT: Final = "Wait; the exchange is overloaded and executed nothing."

# fmt: off
ROWS: Final[tuple[Code, ...]] = (
    # Infrastructure
    row(-1000, "UNKNOWN", 500, C.UNKNOWN, ASK,
        "An unknown error occured while processing the request."),
    row(-1001, "DISCONNECTED", 503, C.UNKNOWN, ASK,
        "Internal error; unable to process your request. Please try again."),
    row(-1002, "UNAUTHORIZED", 401, C.AUTH, CHECK_KEY,
        "You are not authorized to execute this request."),
    row(-1003, "TOO_MANY_REQUESTS", 429, C.BAN,
        "Stop sending until the time named; every request lengthens a ban.",
        "Too many requests; current limit is %s requests per minute. Please use the "
        "websocket for live updates to avoid polling the API.",
        "Way too many requests; IP banned until %s. Please use the websocket for live "
        "updates to avoid bans."),
    row(-1006, "UNEXPECTED_RESP", 400, C.UNKNOWN, ASK,
        "An unexpected response was received from the message bus. Execution status unknown."),
    row(-1007, "TIMEOUT", 408, C.UNKNOWN, ASK,
        "Timeout waiting for response from backend server. Send status unknown; execution "
        "status unknown."),
    row(-1008, "REQUEST_THROTTLED", 503, C.RETRY_SAFE, WAIT,
        "Request throttled by system-level protection. Reduce-only/close-position orders are "
        "exempt. Please try again.",
        "Server is currently overloaded with other requests. Please try again in a few "
        "minutes."),
    row(-1010, "ERROR_MSG_RECEIVED", 400, C.OTHER, FIX_REQUEST,
        "ERROR_MSG_RECEIVED."),
    row(-1011, "NON_WHITE_LIST", 400, C.AUTH, CHECK_KEY,
        "This IP cannot access this route."),
    row(-1013, "INVALID_MESSAGE", 400, C.OTHER, FIX_REQUEST,
        "INVALID_MESSAGE."),
    row(-1014, "UNKNOWN_ORDER_COMPOSITION", 400, C.OTHER,
        "Choose another combination of order type and options.",
        "Unsupported order combination."),
    row(-1015, "TOO_MANY_ORDERS", 429, C.RETRY_SAFE,
        "Send fewer orders; wait for the next ten seconds or minute.",
        "Too many new orders; current limit is %s orders per %s.",
        "Too many new orders."),
    row(-1016, "SERVICE_SHUTTING_DOWN", 400, C.OTHER, FIX_REQUEST,
        "This service is no longer available."),
    row(-1020, "UNSUPPORTED_OPERATION", 400, C.OTHER, FIX_REQUEST,
        "This operation is not supported."),
    row(-1021, "INVALID_TIMESTAMP", 400, C.CLOCK,
        "Set this computer's clock; it is off by more than the allowed window.",
        "Timestamp for this request is outside of the recvWindow.",
        "Timestamp for this request was 1000ms ahead of the server's time."),
    row(-1022, "INVALID_SIGNATURE", 400, C.AUTH,
        "Check that the API secret belongs to the API key.",
        "Signature for this request is not valid."),
    row(-1023, "START_TIME_GREATER_THAN_END_TIME", 400, C.OTHER,
        "Give a start that lies before the end.",
        "Start time is greater than end time."),
    row(-1099, "NOT_FOUND", 400, C.AUTH, CHECK_KEY,
        "Not found, unauthenticated, or unauthorized."),
    # Parameters
    row(-1100, "ILLEGAL_CHARS", 400, C.OTHER, FIX_REQUEST,
        "Illegal characters found in parameter '%s'; legal range is '%s'.",
        "Illegal characters found in a parameter."),
    row(-1101, "TOO_MANY_PARAMETERS", 400, C.OTHER, FIX_REQUEST,
        "Too many parameters; expected '%s' and received '%s'.",
        "Duplicate values for a parameter detected.",
        "Too many parameters sent for this endpoint."),
    row(-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED", 400, C.OTHER, FIX_REQUEST,
        "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
        "Param '%s' or '%s' must be sent, but both were empty/null!",
        "A mandatory parameter was not sent, was empty/null, or malformed."),
    row(-1103, "UNKNOWN_PARAM", 400, C.OTHER, FIX_REQUEST,
        "An unknown parameter was sent."),
    row(-1104, "UNREAD_PARAMETERS", 400, C.OTHER, FIX_REQUEST,
        "Not all sent parameters were read; read '%s' parameter(s) but was sent '%s'.",
        "Not all sent parameters were read."),
    row(-1105, "PARAM_EMPTY", 400, C.OTHER, FIX_REQUEST,
        "Parameter '%s' was empty.",
        "A parameter was empty."),
    row(-1106, "PARAM_NOT_REQUIRED", 400, C.OTHER,
        "Leave the option out; in hedge mode reduce-only is not allowed.",
        "Parameter '%s' sent when not required.",
        "A parameter was sent when not required."),
    row(-1108, "BAD_ASSET", 400, C.OTHER, "Check the asset's name.",
        "Invalid asset."),
    row(-1109, "BAD_ACCOUNT", 400, C.AUTH, CHECK_KEY,
        "Invalid account."),
    row(-1111, "BAD_PRECISION", 400, C.FILTER,
        "Use fewer decimals: the symbol's tick and step say how many.",
        "Precision is over the maximum defined for this asset."),
    row(-1112, "NO_DEPTH", 400, C.RISK, "Wait until the symbol's book has orders again.",
        "No orders on book for symbol."),
    row(-1114, "TIF_NOT_REQUIRED", 400, C.OTHER, FIX_REQUEST,
        "TimeInForce parameter sent when not required."),
    row(-1115, "INVALID_TIF", 400, C.OTHER, "Use GTC, IOC, FOK, GTX or GTD.",
        "Invalid timeInForce."),
    row(-1116, "INVALID_ORDER_TYPE", 400, C.OTHER, FIX_REQUEST,
        "Invalid orderType."),
    row(-1117, "INVALID_SIDE", 400, C.OTHER, "Use BUY or SELL.",
        "Invalid side."),
    row(-1118, "EMPTY_NEW_CL_ORD_ID", 400, C.OTHER, FIX_REQUEST,
        "New client order ID was empty."),
    row(-1119, "EMPTY_ORG_CL_ORD_ID", 400, C.OTHER, FIX_REQUEST,
        "Original client order ID was empty."),
    row(-1120, "BAD_INTERVAL", 400, C.OTHER, "Use a candle interval such as 1m, 5m, 1h or 1d.",
        "Invalid interval."),
    row(-1121, "BAD_SYMBOL", 400, C.OTHER, "Check the symbol's name.",
        "Invalid symbol."),
    row(-1122, "INVALID_SYMBOL_STATUS", 400, C.RISK, "The symbol is not in trading now.",
        "Invalid symbol status."),
    row(-1125, "INVALID_LISTEN_KEY", 400, C.OTHER,
        "The stream opens again with a new key by itself.",
        "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate "
        "`listenKey`"),
    row(-1127, "MORE_THAN_XX_HOURS", 400, C.OTHER, "Ask for a shorter span of time.",
        "More than %s hours between startTime and endTime.",
        "Lookup interval is too big."),
    row(-1128, "OPTIONAL_PARAMS_BAD_COMBO", 400, C.OTHER, FIX_REQUEST,
        "Combination of optional parameters invalid."),
    row(-1130, "INVALID_PARAMETER", 400, C.OTHER, FIX_REQUEST,
        "Data sent for parameter '%s' is not valid.",
        "Invalid data sent for a parameter."),
    row(-1131, "BAD_RECV_WINDOW", 400, C.OTHER, FIX_REQUEST,
        "recvWindow must be less than %s"),
    row(-1136, "INVALID_NEW_ORDER_RESP_TYPE", 400, C.OTHER, FIX_REQUEST,
        "Invalid newOrderRespType."),
    # Routing
    row(-5000, "INVALID_PATH", 404, C.OTHER, FIX_REQUEST,
        "Path %s, Method %s is invalid"),
)
# fmt: on
