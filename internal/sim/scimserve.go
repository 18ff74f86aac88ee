package sim

import (
	"net/http"
	"net/url"
	"strconv"
)

// serve answers one request for users or groups. The state is locked from here on, so requests follow each other.
func serve[T resource[T]](s *SCIM, c call, all *collection[T]) (reply, *scimError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if c.id == "" {
		switch c.method {
		case http.MethodGet:
			return list(s, c, all)
		case http.MethodPost:
			return create(s, c, all)
		}
		return reply{}, &scimError{http.StatusMethodNotAllowed, "", c.method + " is not supported here"}
	}
	r, ok := all.byID[c.id]
	if !ok || c.method == http.MethodGet && !r.visible(s.options) {
		return reply{}, unknownResource(c.id)
	}
	switch c.method {
	case http.MethodGet:
		return show(s, c, all, r, http.StatusOK), nil
	case http.MethodPut:
		return replace(s, c, all, r)
	case http.MethodPatch:
		return patch(s, c, all, r)
	case http.MethodDelete:
		return remove(s, c, all, r)
	}
	return reply{}, &scimError{http.StatusMethodNotAllowed, "", c.method + " is not supported here"}
}

func show[T resource[T]](s *SCIM, c call, all *collection[T], r T, status int) reply {
	out := reply{status: status, body: r.render(s.options, c.base, false)}
	if s.options.ETags {
		out.version = r.meta().etag()
	}
	if status == http.StatusCreated {
		out.location = location(c.base, all.kind, *r.identity())
	}
	return out
}

func location(base, kind, id string) string { return base + "/" + kind + "/" + url.PathEscape(id) }

func (r *record) etag() string { return `W/"` + strconv.Itoa(r.version) + `"` }

func create[T resource[T]](s *SCIM, c call, all *collection[T]) (reply, *scimError) {
	body, err := takeSchemas(c.body, all.schema)
	if err != nil {
		return reply{}, err
	}
	r := all.fresh()
	if err := r.assign(body, true); err != nil {
		return reply{}, err
	}
	if err := commit(s, all, all.fresh(), r); err != nil {
		return reply{}, err
	}
	return show(s, c, all, r, http.StatusCreated), nil
}

// replace is PUT: what the body leaves out is cleared, and a person whose active is left out is not active.
func replace[T resource[T]](s *SCIM, c call, all *collection[T], old T) (reply, *scimError) {
	if s.options.NoPut {
		return reply{}, &scimError{http.StatusNotImplemented, "", "PUT is not supported"}
	}
	if err := precondition(s.options, c, old.meta()); err != nil {
		return reply{}, err
	}
	body, err := takeSchemas(c.body, all.schema)
	if err != nil {
		return reply{}, err
	}
	r := all.fresh()
	*r.identity(), *r.meta() = c.id, *old.meta()
	if err := r.assign(body, false); err != nil {
		return reply{}, err
	}
	if err := commit(s, all, old, r); err != nil {
		return reply{}, err
	}
	return show(s, c, all, r, http.StatusOK), nil
}

// patch edits a copy, so an operation that fails leaves nothing of those before it.
func patch[T resource[T]](s *SCIM, c call, all *collection[T], old T) (reply, *scimError) {
	if s.options.NoPatch {
		return reply{}, &scimError{http.StatusNotImplemented, "", "PATCH is not supported"}
	}
	if err := precondition(s.options, c, old.meta()); err != nil {
		return reply{}, err
	}
	ops, err := readPatch(c.body)
	if err != nil {
		return reply{}, err
	}
	r := old.clone()
	if err := r.patch(s, ops); err != nil {
		return reply{}, err
	}
	if err := commit(s, all, old, r); err != nil {
		return reply{}, err
	}
	out := show(s, c, all, r, http.StatusOK)
	if s.options.PatchNoContent {
		out.status, out.body = http.StatusNoContent, nil
	}
	return out, nil
}

func remove[T resource[T]](s *SCIM, c call, all *collection[T], r T) (reply, *scimError) {
	if err := precondition(s.options, c, r.meta()); err != nil {
		return reply{}, err
	}
	all.remove(c.id)
	if !s.options.DanglingMembers {
		s.state.leaveGroups(c.id)
	}
	return reply{status: http.StatusNoContent}, nil
}

func precondition(o SCIMOptions, c call, r *record) *scimError {
	switch {
	case !o.ETags:
		return nil
	case c.ifMatch == "" && o.RequireIfMatch:
		return &scimError{http.StatusPreconditionRequired, "", "If-Match is required"}
	case c.ifMatch != "" && c.ifMatch != "*" && c.ifMatch != r.etag():
		return &scimError{http.StatusPreconditionFailed, "", "the resource has changed; its version is " + r.etag()}
	}
	return nil
}

// commit checks a new or edited resource and stores it.
func commit[T resource[T]](s *SCIM, all *collection[T], before, r T) *scimError {
	if err := r.settle(s, before); err != nil {
		return err
	}
	if all.taken(r.key(), *r.identity()) && !(all.kind == "Groups" && s.options.DuplicateGroups) {
		return &scimError{http.StatusConflict, "uniqueness", "the name is taken: " + r.key()}
	}
	r.meta().touch()
	if *r.identity() == "" {
		*r.identity() = s.state.newID()
		r.meta().created = r.meta().modified
	}
	all.put(r)
	r.wrote(s, before)
	return nil
}
