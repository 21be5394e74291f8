const { Client } = require("pg");
const Cursor = require("pg-cursor");
const { from, to } = require("pg-copy-streams");
const { pipeline } = require("node:stream/promises");
const { Readable } = require("node:stream");
const { assert, where, ca, table, endless, run } = require("./trial.cjs");

async function withClient(use, options = {}) {
  const client = new Client({ ...where, ...options });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function gives(expected, sql, values) {
  await withClient(async (client) => {
    const found = await client.query({ text: sql, values, rowMode: "array" });
    assert.deepStrictEqual(found.rows[0], expected);
  });
}

run({
  async password() {
    await gives([1], "select 1::int");
  },
  async tls() {
    await withClient(async (client) => {
      assert.strictEqual((await client.query("select 1::int as a")).rows[0].a, 1);
    }, { ssl: { ca } });
  },
  async parameters() {
    await gives([42, "it's"], "select $1::int + 1, $2::varchar", [41, "it's"]);
  },
  async prepared() {
    await withClient(async (client) => {
      for (let number = 0; number < 12; number++) {
        const found = await client.query({ name: "twice", text: "select $1::int * 2 as a", values: [number] });
        assert.strictEqual(found.rows[0].a, number * 2);
      }
    });
  },
  async numbers() {
    await gives([-32768, 2147483647, "-9223372036854775808", 0.1, "12345.6789"],
      "select (-32768)::int2 a, 2147483647::int4 b, (-9223372036854775808)::int8 c, 0.1::float8 d, 12345.6789::decimal(12, 4) e");
  },
  async texts() {
    await gives(["Größe 😀", Buffer.from([0, 1, 255])], "select 'Größe 😀' a, '\\x00\\x01\\xFF'::blob b");
  },
  async times() {
    await gives([new Date("2024-01-02T03:04:05Z")], "select timestamptz '2024-01-02 03:04:05+00' c");
  },
  async others() {
    await gives([true, "12345678-1234-5678-1234-567812345678", { a: [1] }],
      "select true a, '12345678-1234-5678-1234-567812345678'::uuid b, '{\"a\": [1]}'::json c");
  },
  async arrays() {
    await gives([[1, null, 3], ["a", "it's, \"so\""]], "select [1, null, 3] a, ['a', 'it''s, \"so\"'] b");
  },
  async nulls() {
    await gives([null, null], "select null::int, $1::text", [null]);
  },
  async transactions() {
    await withClient(async (client) => {
      await client.query(`create table ${table} (a int)`);
      for (const sql of ["begin", `insert into ${table} values (1)`, "rollback"]) await client.query(sql);
      assert.strictEqual((await client.query(`select a from ${table}`)).rowCount, 0);
    });
  },
  async savepoints() {
    await withClient(async (client) => {
      await client.query("begin");
      await client.query("savepoint a");
      await assert.rejects(client.query("select * from no_such_table"));
      await client.query("rollback to savepoint a");
      assert.strictEqual((await client.query("select 1::int as a")).rows[0].a, 1);
      await client.query("commit");
    });
  },
  async errors() {
    await withClient(async (client) => {
      await assert.rejects(client.query("select * from no_such_table"), { code: "42P01" });
      await assert.rejects(client.query("select $1::int", ["x"]), { code: "22P02" });
    });
  },
  async portions() {
    await withClient(async (client) => {
      const cursor = client.query(new Cursor("select i::int as i from generate_series(1, 10000) t(i)"));
      const counts = [];
      for (let rows = await cursor.read(4000); rows.length; rows = await cursor.read(4000)) counts.push(rows.length);
      assert.deepStrictEqual(counts, [4000, 4000, 2000]);
    });
  },
  async several() {
    await withClient(async (client) => {
      const found = await client.query("select 1::int as a; select 2::int as a");
      assert.deepStrictEqual(found.map((one) => one.rows[0].a), [1, 2]);
    });
  },
  async copy_in() {
    await withClient(async (client) => {
      await client.query(`create table ${table}_in (a int, b varchar)`);
      await pipeline(Readable.from(["1,x\n", "2,\n"]), client.query(from(`copy ${table}_in from stdin (format csv)`)));
      assert.deepStrictEqual((await client.query({ text: `select * from ${table}_in order by a`, rowMode: "array" })).rows,
        [[1, "x"], [2, null]]);
    });
  },
  async copy_out() {
    await withClient(async (client) => {
      let found = "";
      const stream = client.query(to("copy (select 1, 'a,b') to stdout (format csv)"));
      for await (const piece of stream) found += piece;
      assert.strictEqual(found, '1,"a,b"\n');
    });
  },
  async notify() {
    await withClient(async (client) => {
      const told = new Promise((yes) => client.once("notification", yes));
      await client.query("listen news");
      await withClient((other) => other.query("notify news, 'hello'"));
      const { channel, payload } = await told;
      assert.deepStrictEqual([channel, payload], ["news", "hello"]);
    });
  },
  async cancel() {
    await withClient(async (client) => {
      const running = client.query(endless);
      const failed = assert.rejects(running, { code: "57014" });
      let over = false;
      failed.finally(() => { over = true; });
      while (!over) {
        await withClient((other) => other.query("select pg_cancel_backend($1)", [client.processID]));
        await new Promise((yes) => setTimeout(yes, 50));
      }
      await failed;
    });
  },
});
