// The receiver in Node, with an SMTP server.
//
// Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST,
// SMTP_PORT, PORT. To run it: npm ci && MAIL_AUTHORIZATION='Bearer s3cret' npm start. Node 22.18 and later also run this
// file as it is: node server.ts

import { serve } from '@hono/node-server';
import { createTransport } from 'nodemailer';
import { createHandler, Refused } from './receiver.ts';

const { MAIL_AUTHORIZATION, MAIL_FROM = 'no-reply@example.com', SMTP_HOST = 'localhost' } = process.env;
if (!MAIL_AUTHORIZATION) {
  throw new Error('Set MAIL_AUTHORIZATION to the value in the connector settings');
}

// Logto's user waits for the response, and gives up after 10 seconds.
const transport = createTransport({
  host: SMTP_HOST,
  port: Number(process.env.SMTP_PORT ?? 25),
  pool: true,
  connectionTimeout: 5000,
  socketTimeout: 5000,
});

const fetch = createHandler({
  authorization: MAIL_AUTHORIZATION,
  async send({ to, ...mail }) {
    try {
      await transport.sendMail({
        ...mail,
        from: MAIL_FROM,
        to: { name: '', address: to },
        // A value of a message is never read as the name of a file or URL to attach.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
    } catch (error) {
      const { command, responseCode = 0 } = error as { command?: string; responseCode?: number };
      // A code below 500 asks to try again later.
      throw command === 'RCPT TO' && responseCode >= 500 ? new Refused(422, 'The recipient was refused') : error;
    }
  },
});

serve({ fetch, hostname: '127.0.0.1', port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`Listening on http://127.0.0.1:${port}/logto-mail`);
});
