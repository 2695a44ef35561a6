import { describe, expect, it } from "vitest";
import { costText, costTitle, duration, money, time, totalCost } from "./format";

describe("durations", () => {
  it("have the unit that fits", () => {
    const shown = [0, 999, 1500, 999_499, 2.5e6, 1e9, 9.999e9, 59.94e9, 60e9, 3599e9, 3600e9, 90_000e9];
    expect(shown.map(duration)).toEqual([
      "0 ns",
      "999 ns",
      "1.5 µs",
      "999 µs",
      "2.5 ms",
      "1.00 s",
      "10.00 s",
      "59.9 s",
      "1m 00s",
      "59m 59s",
      "1h 00m",
      "25h 00m",
    ]);
    expect(duration(null)).toBe("–");
  });
});

describe("money and times", () => {
  it("keep small amounts", () => {
    expect([null, 0, 0.00001, 0.0042, 1234.5].map(money)).toEqual([
      "–",
      "$0",
      "$1.0e-5",
      "$0.0042",
      "$1,234.5",
    ]);
    expect([totalCost({ total: 1 }), totalCost(2), totalCost(null), totalCost({})]).toEqual([
      1,
      2,
      null,
      null,
    ]);
  });

  it("say where a cost is from, and that it is at least so much", () => {
    const cost = { total: 0.5, source: "priced", unknown_steps: 1 };
    expect([costText(cost), costText({ total: 2 }), costText(null)]).toEqual(["≥ $0.5", "$2", "–"]);
    expect(costTitle(cost)).toBe("By the table of prices; 1 step of unknown cost");
    expect(costTitle(2)).toBe(undefined);
  });

  it("say the day only where it is another", () => {
    const now = new Date("2026-11-21T12:00:00Z");
    expect(time("2026-11-21T01:02:03Z", "utc", now)).toBe("01:02:03");
    expect(time("2026-03-01T01:02:03Z", "utc", now)).toBe("1 Mar 01:02:03");
    expect(time("2024-03-01T01:02:03Z", "utc", now)).toBe("1 Mar 2024 01:02:03");
    expect(time("nonsense", "utc", now)).toBe("–");
  });
});
