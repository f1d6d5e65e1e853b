/** Tests: `tests/unit` needs nothing, `tests/browser` the binary (NTP_MONITOR_BIN) and Chromium (CHROMIUM). */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 120_000,
    // Two browsers and two demos at once would disturb each other's measurements.
    fileParallelism: false,
  },
});
