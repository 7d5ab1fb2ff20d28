import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from '@playwright/test';

// A browser of this machine; where there is none, the one that `npx playwright install chromium` fetches.
const chromium =
  process.env.CHROMIUM ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)))
    .find((file) => existsSync(file));

const gracefulShutdown = { signal: 'SIGTERM', timeout: 5000 } as const;

export default defineConfig({
  fullyParallel: true,
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: { launchOptions: { executablePath: chromium } },
  // One after the other: what a named group of `wait` finds is an environment variable from there on. So the app
  // posts its mails to the server before it, and the tests know where both are.
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
