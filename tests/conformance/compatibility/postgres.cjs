const postgres = require("postgres");
const { assert, where, ca, table, endless, run } = require("./trial.cjs");

async function withClient(use, options = {}) {
  const sql = postgres({ ...where, max: 2, onnotice: () => {}, ...options });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function gives(expected, text) {
  await withClient(async (sql) => {
    for (const simple of [false, true]) {
      const query = sql.unsafe(text);
      assert.deepStrictEqual((await (simple ? query.simple() : query).values())[0], expected);
    }
  });
}

run({
  async password() {
    await gives([1], "select 1::int");
  },
  async tls() {
    await withClient(async (sql) => {
      assert.strictEqual((await sql`select 1::int as a`)[0].a, 1);
    }, { ssl: { ca } });
  },
  async parameters() {
    await withClient(async (sql) => {
      assert.deepStrictEqual((await sql`select ${41}::int + 1, ${"it's"}::varchar, ${new Date(0)}::timestamptz`.values())[0],
        [42, "it's", new Date(0)]);
    });
  },
  async prepared() {
    await withClient(async (sql) => {
      for (let number = 0; number < 12; number++) {
        assert.strictEqual((await sql`select ${number}::int * 2 as a`)[0].a, number * 2);
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
    // NULL within an array of numbers is NaN there
    await gives([[1, NaN, 3], ["a", "it's, \"so\""]], "select [1, null, 3] a, ['a', 'it''s, \"so\"'] b");
  },
  async nulls() {
    await withClient(async (sql) => {
      assert.deepStrictEqual((await sql`select null::int, ${null}::text`.values())[0], [null, null]);
    });
  },
  async transactions() {
    await withClient(async (sql) => {
      await sql.unsafe(`create table ${table} (a int)`);
      await assert.rejects(sql.begin(async (inside) => {
        await inside.unsafe(`insert into ${table} values (1)`);
        throw new Error("no");
      }), /no/);
      await sql.begin((inside) => inside.unsafe(`insert into ${table} values (2)`));
      assert.deepStrictEqual(await sql.unsafe(`select a from ${table}`).values().then((rows) => [...rows]), [[2]]);
    });
  },
  async savepoints() {
    await withClient(async (sql) => {
      await sql.begin(async (inside) => {
        await assert.rejects(inside.savepoint((deeper) => deeper`select * from no_such_table`));
        assert.strictEqual((await inside`select 1::int as a`)[0].a, 1);
      });
    });
  },
  async errors() {
    await withClient(async (sql) => {
      await assert.rejects(sql`select * from no_such_table`, { code: "42P01" });
      await assert.rejects(sql`select ${"x"}::varchar::int`, { code: "22P02" });
    });
  },
  async portions() {
    await withClient(async (sql) => {
      const counts = [];
      for await (const rows of sql`select i::int as i from generate_series(1, 10000) t(i)`.cursor(4000)) {
        counts.push(rows.length);
      }
      assert.deepStrictEqual(counts, [4000, 4000, 2000]);
    });
  },
  async batch() {
    await withClient(async (sql) => {
      await sql.unsafe(`create table ${table}_batch (a int, b varchar)`);
      const rows = Array.from({ length: 100 }, (_, number) => ({ a: number, b: String(number) }));
      await sql`insert into ${sql(table + "_batch")} ${sql(rows)}`;
      assert.strictEqual((await sql`select sum(a)::int as a from ${sql(table + "_batch")}`)[0].a, 4950);
    });
  },
  async several() {
    await withClient(async (sql) => {
      const found = await sql`select 1::int as a; select 2::int as a`.simple();
      assert.deepStrictEqual(found.map((one) => one[0].a), [1, 2]);
    });
  },
  async pipeline() {
    await withClient(async (sql) => {
      const found = await Promise.all(Array.from({ length: 100 }, (_, number) => sql`select ${number}::int as a`));
      assert.deepStrictEqual(found.map((one) => one[0].a), Array.from({ length: 100 }, (_, number) => number));
    }, { max: 1 });
  },
  async copy_in() {
    await withClient(async (sql) => {
      await sql.unsafe(`create table ${table}_in (a int, b varchar)`);
      const stream = await sql.unsafe(`copy ${table}_in from stdin (format csv)`).writable();
      await new Promise((yes, no) => stream.on("finish", yes).on("error", no).end("1,x\n2,\n"));
      assert.strictEqual((await sql.unsafe(`select a from ${table}_in`)).length, 2);
    });
  },
  async copy_out() {
    await withClient(async (sql) => {
      let found = "";
      for await (const piece of await sql`copy (select 1, 'a,b') to stdout (format csv)`.readable()) found += piece;
      assert.strictEqual(found, '1,"a,b"\n');
    });
  },
  async notify() {
    await withClient(async (sql) => {
      let told;
      const heard = new Promise((yes) => { told = yes; });
      await sql.listen("news", told);
      await sql.notify("news", "hello");
      assert.strictEqual(await heard, "hello");
    });
  },
  async cancel() {
    await withClient(async (sql) => {
      const running = sql.unsafe(endless);
      const failed = assert.rejects(running.execute(), { code: "57014" });
      let over = false;
      failed.finally(() => { over = true; });
      await new Promise((yes) => setTimeout(yes, 100));
      while (!over) {
        running.cancel();
        await new Promise((yes) => setTimeout(yes, 100));
      }
      await failed;
    });
  },
});
