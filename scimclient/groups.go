package scimclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

const groupURN = "urn:ietf:params:scim:schemas:core:2.0:Group"

// CreateGroup creates a group with its first members, at most MemberChunk of them, and adds those who did not come along.
// A group returned beside an error exists. A server may answer with an existing group of that name and its members.
func (c *Client) CreateGroup(ctx context.Context, g Group) (Group, error) {
	const op = "create group"
	if g.DisplayName == "" {
		return Group{}, fmt.Errorf("%s: no displayName", op)
	}
	cr := creation{op, newGroup(g, int(c.chunk.Load())), g.DisplayName, g.ExternalID}
	v, err := c.groups.create(ctx, cr)
	if len(g.Members) > 0 && refusesMembers(err) {
		cr.payload = newGroup(g, 0)
		v, err = c.groups.create(ctx, cr)
	}
	if err != nil {
		return v, err
	}
	e := GroupEdit{DisplayName: &g.DisplayName}
	if g.ExternalID != "" {
		e.ExternalID = &g.ExternalID
	}
	if len(e.lost(v)) > 0 {
		after, err := c.groups.update(ctx, edit[Group]{op: op, id: v.ID, attrs: e.attributes(), lost: e.lost, forms: []form{byPath}})
		if after.ID != "" {
			v = after
		}
		if err != nil {
			return v, err
		}
	}
	var missing []string
	for _, m := range outstanding(additions(g.Members), v) {
		missing = append(missing, m.id)
	}
	if len(missing) == 0 {
		return v, nil
	}
	after, err := c.ChangeMembers(ctx, v.ID, missing, nil)
	if after.ID == "" {
		after = v
	}
	return after, err
}

// refusesMembers tells whether a creation may have been refused for the members in it: some servers take none at
// creation, or fewer, or refuse the whole group over one whom they do not know.
func refusesMembers(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound || e.Status == http.StatusRequestEntityTooLarge)
}

func newGroup(g Group, members int) map[string]any {
	payload := map[string]any{"schemas": []string{groupURN}, "displayName": g.DisplayName}
	if g.ExternalID != "" {
		payload["externalId"] = g.ExternalID
	}
	if first := g.Members[:min(len(g.Members), members)]; len(first) > 0 {
		list := make([]memberValue, len(first))
		for i, m := range first {
			list[i] = memberValue{Value: m.Value}
			if m.Type == "Group" {
				list[i].Type = m.Type
			}
		}
		payload["members"] = list
	}
	return payload
}

// UpdateGroup changes the attributes that e names and verifies them.
func (c *Client) UpdateGroup(ctx context.Context, id string, e GroupEdit) (Group, error) {
	const op = "update group"
	switch {
	case id == "":
		return Group{}, fmt.Errorf("%s: no id", op)
	case e.DisplayName != nil && *e.DisplayName == "":
		return Group{}, fmt.Errorf("%s: the displayName cannot be cleared", op)
	case e == GroupEdit{}:
		return c.groups.get(ctx, op, id)
	}
	return c.groups.update(ctx, edit[Group]{
		op: op, id: id, attrs: e.attributes(), lost: e.lost, forms: []form{byPath, whole, pathless},
	})
}

// DeleteGroup deletes a group. One that the SCIM server no longer knows counts as deleted.
func (c *Client) DeleteGroup(ctx context.Context, id string) error {
	return c.groups.remove(ctx, "delete group", id)
}

func (e GroupEdit) attributes() []attribute {
	var attrs []attribute
	if e.DisplayName != nil {
		attrs = append(attrs, attribute{path: "displayName", value: orNil(*e.DisplayName)})
	}
	if e.ExternalID != nil {
		attrs = append(attrs, attribute{path: "externalId", value: orNil(*e.ExternalID)})
	}
	return attrs
}
