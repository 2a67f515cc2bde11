// Two clients for Node.js: ccxt, and the package `binance`; REST, streams and orders by WebSocket.
//
// Only origins and keys are turned. Each check begins on a fresh account; the count by area goes to
// the file named by CONFORMANCE_RESULT, as that of the other programs does.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const paper = {
  rest: process.env.PAPER_REST_URL,
  stream: process.env.PAPER_STREAM_URL,
  key: process.env.PAPER_API_KEY,
  secret: process.env.PAPER_API_SECRET,
};
const WITHIN_MS = 15_000;
// The packages are installed in the working directory, not beside this file.
const require = createRequire(pathToFileURL(join(process.cwd(), "any.js")));
const BTC = "BTC/USDT:USDT";
const counts = new Map();

async function reset() {
  const answer = await fetch(`${paper.rest}/paper/reset`, {
    method: "POST",
    headers: { "X-MBX-APIKEY": paper.key },
  });
  assert.equal(answer.status, 200);
}

async function check(area, name, run) {
  await reset();
  let outcome = "passed";
  try {
    await soon(run());
  } catch (error) {
    outcome = "failed";
    console.log(`${area} ${name}:`, error);
  }
  const key = `${area}\n${outcome}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function soon(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it did not come in time")), WITHIN_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function turnOrigins(urls, origins) {
  for (const [name, url] of Object.entries(urls)) {
    if (url !== null && typeof url === "object") turnOrigins(url, origins);
    for (const [real, ours] of origins) {
      if (typeof url === "string" && url.startsWith(real)) urls[name] = ours + url.slice(real.length);
    }
  }
}

// --- ccxt ---------------------------------------------------------------------------------------

async function tryCcxt() {
  const ccxt = require("ccxt");
  const exchange = new ccxt.pro.binanceusdm({ apiKey: paper.key, secret: paper.secret });
  turnOrigins(exchange.urls.api, [
    ["https://fapi.binance.com", paper.rest],
    ["https://api.binance.com", paper.rest],
    ["wss://fstream.binance.com", paper.stream],
    ["wss://ws-fapi.binance.com", paper.stream],
  ]);
  await exchange.loadHttpProxyAgent(); // it wants that before a stream without TLS
  await exchange.loadMarkets();
  const price = async (factor) =>
    Number(exchange.priceToPrecision(BTC, (await exchange.fetchTicker(BTC)).last * factor));

  await check("Ccxt", "a market order and its position", async () => {
    await exchange.setLeverage(7, BTC);
    const order = await exchange.createOrder(BTC, "market", "buy", 0.01);
    const [position] = await exchange.fetchPositions([BTC]);
    assert.deepEqual([order.status, position.contracts], ["closed", 0.01]);
  });
  await check("Ccxt", "a limit order placed, changed, cancelled", async () => {
    const order = await exchange.createOrder(BTC, "limit", "buy", 0.01, await price(0.98));
    await exchange.editOrder(order.id, BTC, "limit", "buy", 0.02, await price(0.97));
    assert.equal((await exchange.fetchOrder(order.id, BTC)).amount, 0.02);
    assert.equal((await exchange.cancelOrder(order.id, BTC)).status, "canceled");
  });
  for (const [name, factor, words] of [
    ["stop", 0.98, (at) => ({ stopLossPrice: at, reduceOnly: true })],
    ["take profit", 1.02, (at) => ({ takeProfitPrice: at, reduceOnly: true })],
    ["trailing stop", 1, () => ({ trailingPercent: 1 })],
  ]) {
    await check("Ccxt", name, async () => {
      await exchange.createOrder(BTC, "market", "buy", 0.01);
      const more = words(await price(factor));
      const order = await exchange.createOrder(BTC, "market", "sell", 0.01, undefined, more);
      const found = await exchange.fetchOpenOrders(BTC, undefined, undefined, { trigger: true });
      assert.deepEqual(found.map((row) => row.id), [order.id]);
    });
  }
  await check("Ccxt", "a batch", async () => {
    const wish = { symbol: BTC, type: "limit", side: "buy", amount: 0.01, price: await price(0.98) };
    const orders = await exchange.createOrders([wish, wish]);
    assert.deepEqual(orders.map((order) => order.status), ["open", "open"]);
    await exchange.cancelAllOrders(BTC);
    assert.deepEqual(await exchange.fetchOpenOrders(BTC), []);
  });
  await check("Ccxt", "market streams", async () => {
    const book = await exchange.watchOrderBook(BTC);
    assert.ok(book.bids[0][0] < book.asks[0][0]);
    assert.ok((await exchange.watchTicker(BTC)).last > 0);
    assert.ok((await exchange.watchOHLCV(BTC, "1m")).length > 0);
  });
  await check("Ccxt", "the user stream", async () => {
    const orders = exchange.watchOrders(BTC);
    const trades = exchange.watchMyTrades(BTC);
    await pause(700); // it subscribes; it tells nobody when it has
    const order = await exchange.createOrder(BTC, "market", "buy", 0.01);
    assert.equal((await orders)[0].id, order.id);
    assert.equal((await trades)[0].order, order.id);
  });
  await check("Ccxt", "an order by WebSocket", async () => {
    assert.equal((await exchange.createOrderWs(BTC, "market", "buy", 0.01)).status, "closed");
  });
}

// --- binance ------------------------------------------------------------------------------------

async function tryBinance() {
  const { USDMClient, WebsocketAPIClient, WebsocketClient } = require("binance");
  const tables = require("binance/lib/util/websockets/websocket-util.js");
  turnOrigins(tables.WS_KEY_URL_MAP, [
    ["wss://fstream.binance.com", paper.stream],
    ["wss://ws-fapi.binance.com", paper.stream],
  ]);
  const keys = { api_key: paper.key, api_secret: paper.secret };
  const rest = { baseUrl: paper.rest, disableTimeSync: true };
  const quiet = { trace() {}, info() {}, error() {} };
  const client = new USDMClient({ ...keys, ...rest });
  const symbol = "BTCUSDT";
  const near = async (factor) =>
    (Number((await client.getSymbolPriceTicker({ symbol })).price) * factor).toFixed(1);
  const order = { symbol, side: "BUY", quantity: "0.010" };

  await check("Binance", "market data", async () => {
    assert.ok((await client.getExchangeInfo()).symbols.length > 20);
    assert.equal((await client.getOrderBook({ symbol, limit: 10 })).bids.length, 10);
    assert.equal((await client.getKlines({ symbol, interval: "1m", limit: 2 })).length, 2);
  });
  await check("Binance", "a market order and its position", async () => {
    const filled = await client.submitNewOrder({
      ...order,
      type: "MARKET",
      newOrderRespType: "RESULT",
    });
    assert.equal(filled.status, "FILLED");
    assert.equal((await client.getPositionsV3())[0].positionAmt, "0.010");
  });
  await check("Binance", "a batch of limit orders", async () => {
    const wish = { ...order, type: "LIMIT", timeInForce: "GTC", price: await near(0.98) };
    const placed = await client.submitMultipleOrders([wish, wish]);
    assert.deepEqual(placed.map((row) => row.status), ["NEW", "NEW"]);
    assert.equal((await client.cancelAllOpenOrders({ symbol })).code, 200);
  });
  await check("Binance", "a conditional order", async () => {
    const algo = await client.submitNewAlgoOrder({
      algoType: "CONDITIONAL",
      symbol,
      side: "SELL",
      type: "STOP_MARKET",
      triggerPrice: await near(0.98),
      quantity: "0.010",
    });
    assert.equal(algo.algoStatus, "NEW");
    assert.equal((await client.getOpenAlgoOrders({ symbol })).length, 1);
    await client.cancelAlgoOrder({ algoId: algo.algoId });
  });
  await check("Binance", "streams and an order by WebSocket", async () => {
    const heard = new Set();
    const streams = new WebsocketClient({ ...keys, restOptions: rest }, quiet);
    streams.on("message", (message) => heard.add((message.data ?? message).e));
    streams.on("exception", () => {});
    streams.subscribe(["btcusdt@bookTicker", "btcusdt@depth@100ms"], "usdmPublic");
    streams.subscribe(["btcusdt@aggTrade", "btcusdt@markPrice@1s"], "usdmMarket");
    await streams.subscribeUsdFuturesUserDataStream("usdmPrivate");
    await pause(1_500);
    const api = new WebsocketAPIClient({ ...keys, restOptions: rest }, quiet);
    const answer = await api.submitNewFuturesOrder("usdm", {
      ...order,
      type: "MARKET",
      newOrderRespType: "RESULT",
      timestamp: Date.now(),
    });
    assert.equal(answer.result.status, "FILLED");
    const wanted = ["bookTicker", "depthUpdate", "aggTrade", "markPriceUpdate", "ACCOUNT_UPDATE"];
    while (!wanted.every((name) => heard.has(name))) await pause(50);
  });
}

for (const run of [tryCcxt, tryBinance]) {
  try {
    await run();
  } catch (error) {
    console.log(error);
    counts.set(`${run.name}\nfailed`, 1);
  }
}
const rows = [...counts].map(([key, count]) => [...key.split("\n"), count]);
writeFileSync(process.env.CONFORMANCE_RESULT, JSON.stringify(rows));
process.exit(rows.some(([, outcome]) => outcome === "failed") ? 1 : 0); // sockets stay open
