<?php
// A receiver for Logto's HTTP email connector, in PHP with PHPMailer: one mail by template type, handed to an SMTP
// server.
//
// Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST,
// SMTP_PORT. To try it: MAIL_AUTHORIZATION='Bearer s3cret' PHP_CLI_SERVER_WORKERS=4 php -S 127.0.0.1:3000 receiver.php
// With Apache, "CGIPassAuth On" hands the Authorization to PHP.

declare(strict_types=1);

use PHPMailer\PHPMailer\Exception as MailProblem;
use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

// Debian's PHPMailer. With Composer: require __DIR__ . '/vendor/autoload.php';
require 'libphp-phpmailer/autoload.php';

// Logto shows the response to the user: a warning of PHP must not stand in it.
ini_set('display_errors', '0');
ini_set('log_errors', '1');
header_remove('X-Powered-By');

const MAX_BYTES = 2 * 1024 * 1024;
const MAX_SMTP_SECONDS = 5;

// Later Logto releases add template types: a type that is not listed becomes a general mail.
const SUBJECTS = [
    'SignIn' => 'Your code to sign in',
    'Register' => 'Your code to create an account',
    'ForgotPassword' => 'Your code to reset your password',
    'OrganizationInvitation' => 'You are invited to join',
    'UserPermissionValidation' => 'Your code to confirm that it is you',
    'BindNewIdentifier' => 'Your code to add this address',
    'MfaVerification' => 'Your code to finish signing in',
    'BindMfa' => 'Your code to set up a second factor',
];

// Mail libraries read quoted names, lists and comments differently: such a recipient is refused.
const ADDRESS = '/\A[^\s@"(),:;<>[\\\\\]\pC\pZ\x{FFFD}]+@[^\s@"(),:;<>[\\\\\]\pC\pZ\x{FFFD}]+\z/u';

/** Ends a request with an error status. Its text repeats nothing of the message and nothing of this program. */
final class Refused extends Exception
{
}

/** One session with the SMTP server. It lasts 5 seconds, since Logto gives up after 10. */
final class Session extends SMTP
{
    /** The server's answer to a recipient that it refused: 0 if there was none, null if it refused no recipient. */
    public ?int $refusal = null;
    private readonly int $end;

    public function __construct()
    {
        $this->end = time() + MAX_SMTP_SECONDS;
    }

    public function mail($from)
    {
        // PHPMailer asks for no SMTPUTF8, which an address beyond ASCII needs.
        $utf8 = $this->getServerExt('SMTPUTF8') ? ' SMTPUTF8' : '';
        return $this->sendCommand('MAIL FROM', "MAIL FROM:<{$from}>{$utf8}", 250);
    }

    public function recipient($address, $dsn = '')
    {
        $isAccepted = parent::recipient($address, $dsn);
        $this->refusal = $isAccepted ? null : (int) $this->getError()['smtp_code'];
        return $isAccepted;
    }

    protected function get_lines()
    {
        // PHPMailer waits so long for each answer, and overrides a shorter time-out. 0 would wait forever.
        $this->Timelimit = max(1, $this->end - time());
        return parent::get_lines();
    }
}

/**
 * Return the first of some texts that shows something, on one line. Any may be missing or null, and the sender of an
 * invitation may replace them by any value.
 */
function one_line(mixed ...$texts): string
{
    foreach (array_filter($texts, is_string(...)) as $text) {
        // Line breaks would make headers, and control characters cannot be sent.
        $line = trim(preg_replace('/[\pC\pZ\s]+/u', ' ', $text));
        if ($line !== '') {
            return iconv_substr($line, 0, 100, 'UTF-8');
        }
    }
    return '';
}

function escape(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5, 'UTF-8');
}

function parse(string $body): array
{
    $message = json_decode($body, true);
    if (json_last_error() === JSON_ERROR_UTF16) {
        // Logto writes half of a surrogate pair as "\ud83d", and json_decode refuses it.
        $message = json_decode(preg_replace('/(?<!\\\\)(?:\\\\\\\\)*+\K\\\\ud[89a-f]../i', '\ufffd', $body), true);
    }
    if (!is_string($message['to'] ?? null) || !is_string($message['type'] ?? null) || !is_array($message['payload'] ?? null)) {
        throw new Refused('The body is no message', 400);
    }
    return $message;
}

function compose(array $message, PHPMailer $mail): void
{
    ['to' => $to, 'type' => $type, 'payload' => $payload] = $message;
    if (!preg_match(ADDRESS, $to)) {
        throw new Refused('No mail can be sent to this recipient', 422);
    }
    $secret = $type === 'OrganizationInvitation' ? $payload['link'] ?? '' : $payload['code'] ?? $payload['link'] ?? '';
    if (!is_string($secret) || !preg_match('/\A[^\pC\s\x{FFFD}]+\z/u', $secret)) {
        throw new Refused('The message has no code and no link to send', 422);
    }
    $place = one_line(
        $payload['organization']['name'] ?? null,
        $payload['application']['displayName'] ?? null,
        $payload['application']['name'] ?? null,
        'our service',
    );
    $name = one_line($payload['user']['name'] ?? null, $payload['user']['username'] ?? null);
    $inviter = one_line($payload['inviter']['name'] ?? null, $payload['inviter']['username'] ?? null);
    $greeting = $name === '' ? 'Hello,' : "Hello {$name},";
    $line = $inviter === '' ? "This is for {$place}:" : "{$inviter} invites you to {$place}:";
    $shown = escape($secret);
    if (preg_match('~\Ahttps?://~i', $secret)) {
        $shown = "<a href=\"{$shown}\">{$shown}</a>";
    }
    $mail->addAddress($to);
    $mail->Subject = (SUBJECTS[$type] ?? 'Your verification') . " - {$place}";
    $mail->isHTML();
    $mail->Body = '<!doctype html><html><body><p>' . escape($greeting) . "</p>\n<p>" . escape($line)
        . "</p>\n<p><b>{$shown}</b></p></body></html>\n";
    $mail->AltBody = "{$greeting}\n\n{$line}\n\n{$secret}\n";
}

function make_mail(): PHPMailer
{
    $mail = new PHPMailer(true);
    $mail->isSMTP();
    $mail->setSMTPInstance(new Session());
    $mail->Host = getenv('SMTP_HOST') ?: 'localhost';
    $mail->Port = (int) (getenv('SMTP_PORT') ?: 25);
    // This limits the connecting alone.
    $mail->Timeout = MAX_SMTP_SECONDS;
    $mail->CharSet = PHPMailer::CHARSET_UTF8;
    $mail->Encoding = PHPMailer::ENCODING_QUOTED_PRINTABLE;
    // The address has been checked, and PHPMailer's own check knows ASCII only.
    PHPMailer::$validator = static fn (string $address): bool => true;
    $mail->setFrom(getenv('MAIL_FROM') ?: 'no-reply@example.com');
    return $mail;
}

function receive(): void
{
    $body = file_get_contents('php://input', length: MAX_BYTES + 1);
    if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/logto-mail') {
        throw new Refused('There is nothing here', 404);
    }
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        header('Allow: POST');
        throw new Refused('Messages are posted', 405);
    }
    $expected = getenv('MAIL_AUTHORIZATION') ?: throw new Exception('MAIL_AUTHORIZATION is not set');
    // The comparison needs the same time for every wrong value of the right length.
    if (!hash_equals($expected, $_SERVER['HTTP_AUTHORIZATION'] ?? '')) {
        throw new Refused('Wrong authorization', 401);
    }
    if (strlen($body) > MAX_BYTES) {
        throw new Refused('The message is too large', 413);
    }
    $mail = make_mail();
    compose(parse($body), $mail);
    try {
        $mail->send();
    } catch (MailProblem $problem) {
        $refusal = $mail->getSMTPInstance()->refusal;
        // PHPMailer's message about a refused recipient has the address, which belongs in no log.
        error_log($refusal === null ? $problem->getMessage() : "The SMTP server answered {$refusal} to the recipient");
        throw $refusal >= 500 ? new Refused('The recipient was refused', 422) : new Refused('The mail was not sent', 503);
    }
}

try {
    receive();
    http_response_code(204);
} catch (Throwable $problem) {
    if (!$problem instanceof Refused) {
        error_log((string) $problem);
    }
    http_response_code($problem instanceof Refused ? $problem->getCode() : 500);
    header('Content-Type: application/json');
    echo json_encode(['error' => $problem instanceof Refused ? $problem->getMessage() : 'An error of ours']);
}
