// The backend's call to Razorpay, by Razorpay's own library.
"use strict";

// order makes an order. load is a require for the folder of the libraries.
exports.order = async (load, { url, keyID, keySecret }) => {
  const Razorpay = load("razorpay");
  const client = new Razorpay({ key_id: keyID, key_secret: keySecret });
  client.api.rq.defaults.baseURL = url; // there is no option for it
  const made = await client.orders.create({ amount: 50000, currency: "INR", receipt: "bill_123" });
  return { id: made.id, amount: made.amount, status: made.status };
};
