package main

import "encoding/json"

func main() { readLines(read) }

func read(text []byte) (map[string]any, []byte, error) {
	var message MailMessage
	if err := json.Unmarshal(text, &message); err != nil {
		return nil, nil, err
	}
	payload := message.Payload
	context := map[string]any{"code": payload.Code}
	if application := payload.Application; application != nil {
		context["application"] = named(application.Id, application.Name)
	}
	if organization := payload.Organization; organization != nil {
		context["organization"] = named(organization.Id, organization.Name)
	}
	if user := payload.User; user != nil {
		context["user"] = named(user.Id, user.Name.Get())
	}
	if inviter := payload.Inviter; inviter != nil {
		context["inviter"] = named(inviter.Id, inviter.Name.Get())
	}
	encoded, err := json.Marshal(message)
	return context, encoded, err
}
