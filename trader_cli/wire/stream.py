"""What Binance's USD-M streams push, key by key, as of autumn 2026.

Knows the shapes only. The one-letter keys are the venue's; each class says what they mean where
it is not the same everywhere: e event, E event time, T transaction time, s symbol, S side,
ps position side. Inside `/stream?streams=…` every payload is wrapped in a `Combined`.

Source: binance-usdm reference §10.3, §11.2-§11.5; events recorded in September 2026.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Combined(TypedDict):
    """A payload and the stream it belongs to."""

    stream: str
    data: object


# --- user data --------------------------------------------------------------------------------


class OrderOfUpdate(TypedDict):
    """`ORDER_TRADE_UPDATE.o`.

    c client id, o type, f time in force, q quantity, p price, ap average, sp stop, x execution
    type, X status, i order id, l last filled, z filled in all, L last price, n commission and N
    its asset (absent when none), t trade id (0 if none), b bids notional, a asks notional, m maker,
    R reduce only, wt working type, ot original type, cp close position, AP activation price and cr
    callback rate (trailing only), pP price protect, rp realised profit, V self-trade prevention,
    pm price match, gtd good till, er expiry reason, M modify id (amendment only).
    """

    s: str
    c: str
    S: str
    o: str
    f: str
    q: str
    p: str
    ap: str
    sp: str
    x: str
    X: str
    i: int
    l: str  # noqa: E741  the venue's key
    z: str
    L: str
    T: int
    t: int
    b: str
    a: str
    m: bool
    R: bool
    wt: str
    ot: str
    ps: str
    cp: bool
    rp: str
    pP: bool
    si: int
    ss: int
    V: str
    pm: str
    gtd: int
    er: NotRequired[str]
    n: NotRequired[str]
    N: NotRequired[str]
    AP: NotRequired[str]
    cr: NotRequired[str]
    M: NotRequired[str]


class OrderTradeUpdate(TypedDict):
    """A regular order changed."""

    e: Literal["ORDER_TRADE_UPDATE"]
    E: int
    T: int
    o: OrderOfUpdate


class BalanceOfUpdate(TypedDict):
    """`ACCOUNT_UPDATE.a.B`: asset, wallet, cross wallet, change without PnL and commission."""

    a: str
    wb: str
    cw: str
    bc: str


class PositionOfUpdate(TypedDict):
    """`ACCOUNT_UPDATE.a.P`.

    pa amount, ep entry, bep break-even, cr realised so far before fees, up unrealised, mt "cross"
    or "isolated", iw isolated wallet, ma margin asset.
    """

    s: str
    pa: str
    ep: str
    bep: str
    cr: str
    up: str
    mt: str
    iw: str
    ps: str
    ma: NotRequired[str]


class AccountOfUpdate(TypedDict):
    """`ACCOUNT_UPDATE.a`: m is the reason; S the symbol of a funding fee since 2026-08-07."""

    m: str
    B: list[BalanceOfUpdate]
    P: list[PositionOfUpdate]
    S: NotRequired[str]


class AccountUpdate(TypedDict):
    """Balances or positions changed; only what changed is listed."""

    e: Literal["ACCOUNT_UPDATE"]
    E: int
    T: int
    a: AccountOfUpdate


class AlgoOfUpdate(TypedDict):
    """`ALGO_UPDATE.o`.

    caid client id, aid algo id, at "CONDITIONAL", o type, f time in force, q quantity, X status,
    ai order id ("" before the trigger), tp trigger price, p price, V self-trade prevention, wt
    working type, pm price match, cp close position, pP price protect, R reduce only, tt trigger
    time, gtd good till. After the trigger only: ap average price, aq executed quantity, act order
    type. rm is the reason of a failure, ia whether a trailing stop is active.
    """

    caid: str
    aid: int
    at: str
    o: str
    s: str
    S: str
    ps: str
    f: str
    q: str
    X: str
    ai: str
    tp: str
    p: str
    V: str
    wt: str
    pm: str
    cp: bool
    pP: bool
    R: bool
    tt: int
    gtd: int
    ap: NotRequired[str]
    aq: NotRequired[str]
    act: NotRequired[str]
    rm: NotRequired[str]
    ia: NotRequired[bool]
    AP: NotRequired[str]
    cr: NotRequired[str]


class AlgoUpdate(TypedDict):
    """A conditional order changed."""

    e: Literal["ALGO_UPDATE"]
    E: int
    T: int
    o: AlgoOfUpdate


class TradeLite(TypedDict):
    """The earliest notice of a fill; it arrives before the NEW event of a market order."""

    e: Literal["TRADE_LITE"]
    E: int
    T: int
    s: str
    q: str
    p: str
    m: bool
    c: str
    S: str
    L: str
    l: str  # noqa: E741  the venue's key
    t: int
    i: int


class LeverageOfUpdate(TypedDict):
    """`ACCOUNT_CONFIG_UPDATE.ac`: symbol and leverage."""

    s: str
    l: int  # noqa: E741  the venue's key


class MultiAssetsOfUpdate(TypedDict):
    """`ACCOUNT_CONFIG_UPDATE.ai`: j is the multi-assets mode."""

    j: bool


class AccountConfigUpdate(TypedDict):
    """A symbol's leverage (`ac`) or the multi-assets mode (`ai`) changed; one of the two."""

    e: Literal["ACCOUNT_CONFIG_UPDATE"]
    E: int
    T: int
    ac: NotRequired[LeverageOfUpdate]
    ai: NotRequired[MultiAssetsOfUpdate]


class PositionOfMarginCall(TypedDict):
    """`MARGIN_CALL.p`: mp mark price, mm maintenance margin; mt is "CROSSED" or "ISOLATED"."""

    s: str
    ps: str
    pa: str
    mt: str
    iw: str
    mp: str
    up: str
    mm: str


class MarginCall(TypedDict):
    """The venue warns of liquidation."""

    e: Literal["MARGIN_CALL"]
    E: int
    cw: NotRequired[str]
    p: list[PositionOfMarginCall]


class ListenKeyExpired(TypedDict):
    """The key lapsed: the socket stays open and says no more."""

    e: Literal["listenKeyExpired"]
    E: int
    listenKey: str


UserPayload = (
    OrderTradeUpdate
    | AccountUpdate
    | AlgoUpdate
    | TradeLite
    | AccountConfigUpdate
    | MarginCall
    | ListenKeyExpired
)


# --- market data ------------------------------------------------------------------------------
# Since 2026-06-30 events carry st (1 USD-M, 2 COIN-M) and single-symbol ones ps, the pair.


class BookTickerEvent(TypedDict):
    """`<s>@bookTicker` on /public: u update id, b bid, B its quantity, a ask, A its quantity."""

    e: Literal["bookTicker"]
    u: int
    E: int
    T: int
    s: str
    b: str
    B: str
    a: str
    A: str
    ps: NotRequired[str]
    st: NotRequired[int]


class MarkPriceUpdate(TypedDict):
    """`<s>@markPrice@1s` on /market.

    p mark, ap its moving average, i index, P estimated settlement, r funding rate, T next funding.
    """

    e: Literal["markPriceUpdate"]
    E: int
    s: str
    p: str
    i: str
    P: str
    r: str
    T: int
    ap: NotRequired[str]
    ps: NotRequired[str]
    st: NotRequired[int]


class AggTradeEvent(TypedDict):
    """`<s>@aggTrade` on /market: a id, p price, q quantity, f first and l last trade, m maker."""

    e: Literal["aggTrade"]
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  the venue's key
    T: int
    m: bool
    nq: NotRequired[str]
    ps: NotRequired[str]
    st: NotRequired[int]


class DepthUpdate(TypedDict):
    """`<s>@depth` on /public: U first, u last, pu previous last id, b and a [price, quantity]."""

    e: Literal["depthUpdate"]
    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[list[str]]
    a: list[list[str]]
    ps: NotRequired[str]
    st: NotRequired[int]


class KlineOfEvent(TypedDict):
    """`kline.k`: t open and T close time, i interval, f/L trades, o c h l prices, v volume.

    n number of trades, x closed, q quote volume, V and Q bought by takers, B ignored.
    """

    t: int
    T: int
    s: str
    i: str
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741  the venue's key
    v: str
    n: int
    x: bool
    q: str
    V: str
    Q: str
    B: str


class KlineEvent(TypedDict):
    """`<s>@kline_<i>` on /market."""

    e: Literal["kline"]
    E: int
    s: str
    k: KlineOfEvent
    ps: NotRequired[str]
    st: NotRequired[int]


MarketPayload = BookTickerEvent | MarkPriceUpdate | AggTradeEvent | DepthUpdate | KlineEvent
