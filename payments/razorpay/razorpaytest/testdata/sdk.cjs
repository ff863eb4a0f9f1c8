// The official Node SDK of Razorpay, unchanged, against another host. Each line of the input
// is a call, {"call": "orders.create", "args": [{…}]}; each line of the output is what came
// of it, {"answer": …} or {"failure": …}.
//
//   node sdk.cjs URL KEY_ID KEY_SECRET
'use strict';

const readline = require('node:readline');
const path = require('node:path');

const modules = process.env.TELEMED_NODE_MODULES;
const Razorpay = require(path.join(modules, 'razorpay'));
const { validatePaymentVerification } = require(path.join(modules, 'razorpay/dist/utils/razorpay-utils'));

const [url, keyID, keySecret] = process.argv.slice(2);
const razorpay = new Razorpay({ key_id: keyID, key_secret: keySecret });
razorpay.api.rq.defaults.baseURL = url;

const others = {
  // What the SDK can do with orders, payments and refunds.
  'methods': () => ['orders', 'payments', 'refunds'].flatMap(
    (resource) => Object.keys(razorpay[resource]).map((method) => `${resource}.${method}`)),
  'validateWebhookSignature': Razorpay.validateWebhookSignature,
  'validatePaymentVerification': validatePaymentVerification,
};

async function run(line) {
  const { call, args } = JSON.parse(line);
  const [resource, method] = call.split('.');
  try {
    const answer = await (others[call] ? others[call](...args) : razorpay[resource][method](...args));
    return { answer };
  } catch (failure) {
    return { failure: failure instanceof Error ? { message: failure.message } : failure };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await run(line)));
  }
})();
