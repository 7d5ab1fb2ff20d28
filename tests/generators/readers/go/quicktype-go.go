package main

func main() { readLines(read) }

func read(text []byte) (map[string]any, []byte, error) {
	message, err := UnmarshalMailMessage(text)
	if err != nil {
		return nil, nil, err
	}
	payload := message.Payload
	context := map[string]any{"code": payload.Code}
	if application := payload.Application; application != nil {
		context["application"] = named(application.ID, application.Name)
	}
	if organization := payload.Organization; organization != nil {
		context["organization"] = named(organization.ID, organization.Name)
	}
	if user := payload.User; user != nil {
		context["user"] = named(user.ID, user.Name)
	}
	if inviter := payload.Inviter; inviter != nil {
		context["inviter"] = named(inviter.ID, inviter.Name)
	}
	encoded, err := message.Marshal()
	return context, encoded, err
}
