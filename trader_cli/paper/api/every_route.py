"""Everything the exchange answers, put together from the tables by subject."""

from __future__ import annotations

from typing import Final

from trader_cli.paper.api.routes import RouteTable, table
from trader_cli.paper.api.routes_account import ACCOUNT_ROUTES, LISTEN_KEY_ROUTES, ORDER_ROUTES
from trader_cli.paper.api.routes_control import CONTROL_ROUTES
from trader_cli.paper.api.routes_elsewhere import ELSEWHERE_ROUTES
from trader_cli.paper.api.routes_market import MARKET_ROUTES
from trader_cli.paper.api.routes_reference import REFERENCE_ROUTES

ROUTES: Final[RouteTable] = table(
    MARKET_ROUTES,
    REFERENCE_ROUTES,
    ELSEWHERE_ROUTES,
    ORDER_ROUTES,
    ACCOUNT_ROUTES,
    LISTEN_KEY_ROUTES,
    CONTROL_ROUTES,
)
