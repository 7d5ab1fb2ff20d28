// A receiver for Logto's HTTP email connector, with Go's standard library: one mail by template type, handed to
// an SMTP server.
//
// Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST,
// SMTP_PORT, PORT. To run it: MAIL_AUTHORIZATION='Bearer s3cret' go run .
package main

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
)

const maxBytes = 2 << 20

var (
	authorization = []byte(os.Getenv("MAIL_AUTHORIZATION"))
	sender        = cmp.Or(os.Getenv("MAIL_FROM"), "no-reply@example.com")
	smtpHost      = cmp.Or(os.Getenv("SMTP_HOST"), "localhost")
	smtpPort      = cmp.Or(os.Getenv("SMTP_PORT"), "25")
)

// Later Logto releases add template types: a type that is not listed becomes a general mail.
var subjects = map[string]string{
	"SignIn":                   "Your code to sign in",
	"Register":                 "Your code to create an account",
	"ForgotPassword":           "Your code to reset your password",
	"OrganizationInvitation":   "You are invited to join",
	"UserPermissionValidation": "Your code to confirm that it is you",
	"BindNewIdentifier":        "Your code to add this address",
	"MfaVerification":          "Your code to finish signing in",
	"BindMfa":                  "Your code to set up a second factor",
}

// Mail libraries read quoted names, lists and comments differently: such a recipient is refused.
var addressForm = regexp.MustCompile(`^[^\s@"(),:;<>\[\\\]\pC]+@[^\s@"(),:;<>\[\\\]\pC]+$`)

// refusal is an error that the sender of the message sees. Logto shows it to the user: it repeats nothing of the
// message and nothing of this program.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

type message struct {
	to, kind string
	payload  map[string]any
}

// parse reads maps: encoding/json would also read a member "TO" into the field "to" of a struct.
func parse(body []byte) (message, error) {
	var root map[string]any
	if json.Unmarshal(body, &root) != nil {
		return message{}, refusal{400, "the body is no JSON object"}
	}
	to, isTo := root["to"].(string)
	kind, isKind := root["type"].(string)
	payload, isPayload := root["payload"].(map[string]any)
	if !isTo || !isKind || !isPayload {
		return message{}, refusal{400, "the body is no message"}
	}
	return message{to, kind, payload}, nil
}

// isFit tells whether a text can stand in a mail as it is. JSON's lone surrogates have become U+FFFD.
func isFit(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// oneLine replaces what would make a header, or cannot be sent.
func oneLine(text string) string {
	shown := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	letters := []rune(strings.Join(strings.Fields(shown), " "))
	return string(letters[:min(len(letters), 100)])
}

// textOf returns the first of some members that is a text. Any may be missing or null, and the sender of an
// invitation may replace the object by any value.
func textOf(context any, members ...string) string {
	object, _ := context.(map[string]any)
	for _, member := range members {
		if text, _ := object[member].(string); oneLine(text) != "" {
			return oneLine(text)
		}
	}
	return ""
}

func compose(m message) ([]byte, error) {
	if !addressForm.MatchString(m.to) || !isFit(m.to) {
		return nil, refusal{422, "no mail can be sent to this recipient"}
	}
	code, _ := m.payload["code"].(string)
	link, _ := m.payload["link"].(string)
	secret := cmp.Or(code, link)
	if m.kind == "OrganizationInvitation" {
		secret = link
	}
	if secret == "" || !isFit(secret) {
		return nil, refusal{422, "the message has no code and no link to send"}
	}
	place := cmp.Or(
		textOf(m.payload["organization"], "name"),
		textOf(m.payload["application"], "displayName", "name"),
		"our service",
	)
	greeting := "Hello"
	if name := textOf(m.payload["user"], "name", "username"); name != "" {
		greeting += " " + name
	}
	line := "This is for " + place + ":"
	if inviter := textOf(m.payload["inviter"], "name", "username", "primaryEmail"); inviter != "" {
		line = inviter + " invites you to " + place + ":"
	}
	shown := html.EscapeString(secret)
	if lower := strings.ToLower(secret); strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://") {
		shown = `<a href="` + shown + `">` + shown + `</a>`
	}
	subject := cmp.Or(subjects[m.kind], "Your verification") + " - " + place
	return write(m.to, subject, greeting+",\n\n"+line+"\n\n"+secret+"\n", fmt.Sprintf(
		"<!doctype html>\n<html><body><p>%s,</p>\n<p>%s</p>\n<p><b>%s</b></p></body></html>\n",
		html.EscapeString(greeting), html.EscapeString(line), shown,
	))
}

func write(to, subject, text, page string) ([]byte, error) {
	var mail, parts bytes.Buffer
	body := multipart.NewWriter(&parts)
	for _, part := range [][2]string{{"text/plain", text}, {"text/html", page}} {
		into, err := body.CreatePart(textproto.MIMEHeader{
			"Content-Type":              {part[0] + "; charset=utf-8"},
			"Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		quoted := quotedprintable.NewWriter(into)
		if _, err := io.WriteString(quoted, part[1]); err != nil {
			return nil, err
		}
		if err := quoted.Close(); err != nil {
			return nil, err
		}
	}
	if err := body.Close(); err != nil {
		return nil, err
	}
	// The encoder puts spaces between the words that it makes, and a header's line should have 78 bytes at most.
	encoded := strings.ReplaceAll(mime.QEncoding.Encode("utf-8", subject), "?= =?", "?=\r\n =?")
	fmt.Fprintf(&mail, "From: %s\r\nTo: <%s>\r\nSubject: %s\r\n", sender, to, encoded)
	fmt.Fprintf(&mail, "Date: %s\r\nMIME-Version: 1.0\r\n", time.Now().Format(time.RFC1123Z))
	fmt.Fprintf(&mail, "Content-Type: multipart/alternative; boundary=%s\r\n\r\n", body.Boundary())
	mail.Write(parts.Bytes())
	return mail.Bytes(), nil
}

// send hands the mail to the SMTP server. Logto's user waits for the response, and gives up after 10 seconds.
func send(to string, mail []byte) error {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(smtpHost, smtpPort), 5*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	client, err := smtp.NewClient(connection, smtpHost)
	if err != nil {
		return err
	}
	if err := client.Mail(sender); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		var answer *textproto.Error
		if errors.As(err, &answer) && answer.Code >= 500 {
			return refusal{422, "the recipient was refused"}
		}
		return err
	}
	into, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := into.Write(mail); err != nil {
		return err
	}
	if err := into.Close(); err != nil {
		return err
	}
	// The server has the mail: an error from here on loses nothing.
	_ = client.Quit()
	return nil
}

func handle(request *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxBytes+1))
	if err != nil {
		return refusal{400, "the body could not be read"}
	}
	// Two values are refused. The comparison needs the same time for every wrong value of the right length.
	given := request.Header.Values("Authorization")
	if len(given) != 1 || subtle.ConstantTimeCompare([]byte(given[0]), authorization) != 1 {
		return refusal{401, "wrong authorization"}
	}
	if len(body) > maxBytes {
		return refusal{413, "the message is too large"}
	}
	message, err := parse(body)
	if err != nil {
		return err
	}
	mail, err := compose(message)
	if err != nil {
		return err
	}
	if err := send(message.to, mail); err != nil {
		var refused refusal
		if errors.As(err, &refused) {
			return refused
		}
		log.Print("the mail was not sent: ", err)
		return refusal{503, "the mail was not sent"}
	}
	return nil
}

func main() {
	if len(authorization) == 0 {
		log.Fatal("Set MAIL_AUTHORIZATION to the value in the connector's settings")
	}
	http.HandleFunc("POST /logto-mail", func(response http.ResponseWriter, request *http.Request) {
		err := handle(request)
		if err == nil {
			response.WriteHeader(http.StatusNoContent)
			return
		}
		status := http.StatusInternalServerError
		text := "an error of ours"
		var refused refusal
		if errors.As(err, &refused) {
			status, text = refused.status, refused.text
		} else {
			log.Print(err)
		}
		http.Error(response, text, status)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Listening on http://%s/logto-mail\n", listener.Addr())
	server := &http.Server{ReadTimeout: 30 * time.Second}
	log.Fatal(server.Serve(listener))
}
