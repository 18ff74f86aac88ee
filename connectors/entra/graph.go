//go:build !noentra

package entra

import (
	"context"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/directory"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipalswithappid"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// graph makes the SDK's requests. It goes by the SDK's sub-packages as the SDK's own client does; the client itself
// would link every one of them.
type graph struct{ adapter abstractions.RequestAdapter }

func (g graph) user(id string) *users.UserItemRequestBuilder {
	return users.NewUsersRequestBuilderInternal(map[string]string{}, g.adapter).ByUserId(id)
}

func (g graph) group(id string) *groups.GroupItemRequestBuilder {
	return groups.NewGroupsRequestBuilderInternal(map[string]string{}, g.adapter).ByGroupId(id)
}

// The methods below return what asks for a page of a listing: the first one for the link "", else the linked one.

func (g graph) users(top int32, names []string) func(context.Context, string) (models.UserCollectionResponseable, error) {
	b := users.NewUsersRequestBuilderInternal(map[string]string{}, g.adapter)
	return func(ctx context.Context, link string) (models.UserCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.UsersRequestBuilderGetQueryParameters{Select: names, Top: &top}})
	}
}

func (g graph) deletedUsers(top int32) func(context.Context, string) (models.UserCollectionResponseable, error) {
	b := directory.NewDeletedItemsRequestBuilderInternal(map[string]string{}, g.adapter).GraphUser()
	return func(ctx context.Context, link string) (models.UserCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &directory.DeletedItemsGraphUserRequestBuilderGetRequestConfiguration{
			QueryParameters: &directory.DeletedItemsGraphUserRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: &top}})
	}
}

func (g graph) groups(top int32) func(context.Context, string) (models.GroupCollectionResponseable, error) {
	b := groups.NewGroupsRequestBuilderInternal(map[string]string{}, g.adapter)
	return func(ctx context.Context, link string) (models.GroupCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &groups.GroupsRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.GroupsRequestBuilderGetQueryParameters{Select: []string{"id", "displayName"}, Top: &top}})
	}
}

// members asks for direct members of every type. A cast to users would need an index that lags.
func (g graph) members(id string, top int32, names []string) func(context.Context, string) (models.DirectoryObjectCollectionResponseable, error) {
	b := g.group(id).Members()
	return func(ctx context.Context, link string) (models.DirectoryObjectCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &groups.ItemMembersRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.ItemMembersRequestBuilderGetQueryParameters{Select: names, Top: &top}})
	}
}

func (g graph) memberOf(id string, top int32) func(context.Context, string) (models.DirectoryObjectCollectionResponseable, error) {
	b := g.user(id).MemberOf()
	return func(ctx context.Context, link string) (models.DirectoryObjectCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &users.ItemMemberOfRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.ItemMemberOfRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: &top}})
	}
}

func (g graph) transitiveMemberOf(id string, top int32) func(context.Context, string) (models.DirectoryObjectCollectionResponseable, error) {
	b := g.user(id).TransitiveMemberOf()
	return func(ctx context.Context, link string) (models.DirectoryObjectCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &users.ItemTransitiveMemberOfRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.ItemTransitiveMemberOfRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: &top}})
	}
}

func (g graph) assignedTo(principal string, top int32) func(context.Context, string) (models.AppRoleAssignmentCollectionResponseable, error) {
	b := serviceprincipals.NewServicePrincipalsRequestBuilderInternal(map[string]string{}, g.adapter).
		ByServicePrincipalId(principal).AppRoleAssignedTo()
	names := []string{"id", "principalId", "principalType"}
	return func(ctx context.Context, link string) (models.AppRoleAssignmentCollectionResponseable, error) {
		if link != "" {
			return b.WithUrl(link).Get(ctx, nil)
		}
		return b.Get(ctx, &serviceprincipals.ItemAppRoleAssignedToRequestBuilderGetRequestConfiguration{
			QueryParameters: &serviceprincipals.ItemAppRoleAssignedToRequestBuilderGetQueryParameters{Select: names, Top: &top}})
	}
}

// The methods below ask for one object.

func (g graph) getUser(ctx context.Context, id string, names []string) (models.Userable, error) {
	return g.user(id).Get(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: names}})
}

func (g graph) getGroup(ctx context.Context, id string) (models.Groupable, error) {
	return g.group(id).Get(ctx, &groups.GroupItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &groups.GroupItemRequestBuilderGetQueryParameters{Select: []string{"id", "displayName", "visibility"}}})
}

func (g graph) getDeleted(ctx context.Context, id string) (models.DirectoryObjectable, error) {
	return directory.NewDeletedItemsRequestBuilderInternal(map[string]string{}, g.adapter).ByDirectoryObjectId(id).Get(ctx,
		&directory.DeletedItemsDirectoryObjectItemRequestBuilderGetRequestConfiguration{
			QueryParameters: &directory.DeletedItemsDirectoryObjectItemRequestBuilderGetQueryParameters{Select: []string{"id", "deletedDateTime"}}})
}

func (g graph) getPrincipal(ctx context.Context, appID string) (models.ServicePrincipalable, error) {
	return serviceprincipalswithappid.NewServicePrincipalsWithAppIdRequestBuilderInternal(map[string]string{}, g.adapter, &appID).Get(ctx,
		&serviceprincipalswithappid.ServicePrincipalsWithAppIdRequestBuilderGetRequestConfiguration{
			QueryParameters: &serviceprincipalswithappid.ServicePrincipalsWithAppIdRequestBuilderGetQueryParameters{
				Select: []string{"id", "appId", "displayName"}}})
}
