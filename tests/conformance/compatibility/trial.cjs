// Tries each feature of a client in turn, and prints what came of it.
const assert = require("node:assert");
const fs = require("node:fs");

const [port, password, authority, table] = process.argv.slice(2);
const where = { host: "localhost", port: Number(port), user: "demo", password, database: "demo" };
const ca = fs.readFileSync(authority);
const endless = "select count(*) from range(10000000) a, range(10000000) b where a.range * b.range = 7";

async function run(features) {
  const found = {};
  for (const [name, feature] of Object.entries(features)) {
    try {
      await Promise.race([feature.call(features), new Promise((_, no) => setTimeout(no, 20000, "no answer").unref())]);
      found[name] = "ok";
    } catch (error) {
      found[name] = String(error.stack || error);
    }
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}

module.exports = { assert, where, ca, table, endless, run };
