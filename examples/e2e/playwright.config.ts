import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from '@playwright/test';

// A browser of this machine, else the one that `npx playwright install chromium` downloads.
const chromium =
  process.env.CHROMIUM ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)))
    .find((file) => existsSync(file));

const gracefulShutdown = { signal: 'SIGTERM', timeout: 5000 } as const;

export default defineConfig({
  fullyParallel: true,
  // A busy CI machine is slow: the default of 5 seconds is too short there.
  timeout: 60_000,
  expect: { timeout: 20_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: { launchOptions: { executablePath: chromium } },
  // The servers start in this order. Each named group of `wait` becomes an environment variable for what follows,
  // so the app knows the mail server, and the tests know both.
  webServer: [
    {
      command: 'mail-contract serve --port 0',
      wait: { stdout: /(?<mail_endpoint>http:\/\/127\.0\.0\.1:\d+)(?=[\/\s])/ },
      gracefulShutdown,
    },
    {
      command: 'node app.mjs',
      wait: { stdout: /(?<app_url>http:\/\/127\.0\.0\.1:\d+)(?=[\/\s])/ },
      gracefulShutdown,
    },
  ],
});
