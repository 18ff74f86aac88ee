// SCIMMY (scimmy, scimmy-routers) on a free port of 127.0.0.1, with its objects in memory. Everything that is SCIM is the
// library's; here is only what it leaves to an application: storage, unique names, the token. The first segment of the
// path is a tenant with objects of its own, made when it is first asked for, so each test has an empty server.
//
// SCIM_TOKEN is the bearer token. The address is printed when the server is ready. It ends when its standard input does.
import {randomUUID} from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const token = process.env.SCIM_TOKEN;
if (!token) {
    throw new Error("SCIM_TOKEN is not set");
}

// tenants holds the objects of each tenant: by kind, by id.
const tenants = new Map();

function stored(tenant, kind) {
    if (!tenants.has(tenant)) {
        tenants.set(tenant, {User: new Map(), Group: new Map()});
    }
    return tenants.get(tenant)[kind];
}

// found is the stored object of a request that names one.
function found(all, id) {
    const object = all.get(id);
    if (!object) {
        throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
    }
    return object;
}

// write keeps what the library made of a POST, PUT or PATCH. Names are unique, letter case aside.
function write(kind, name) {
    return (resource, data, tenant) => {
        const all = stored(tenant, kind);
        const old = resource.id ? found(all, resource.id) : undefined;
        const key = String(data[name]).toLowerCase();
        for (const other of all.values()) {
            if (other !== old && other[name].toLowerCase() === key) {
                throw new SCIMMY.Types.Error(409, "uniqueness", `${name} ${data[name]} is taken`);
            }
        }
        const now = new Date();
        const object = {
            ...JSON.parse(JSON.stringify(data)),
            id: old?.id ?? randomUUID(),
            meta: {created: old?.meta.created ?? now, lastModified: now},
        };
        all.set(object.id, object);
        return object;
    };
}

function read(kind) {
    return (resource, tenant) => {
        const all = stored(tenant, kind);
        if (resource.id) {
            return found(all, resource.id);
        }
        const objects = [...all.values()];
        return resource.filter ? resource.filter.match(objects) : objects;
    };
}

// drop deletes an object. Whoever is gone is in no group either.
function drop(kind) {
    return (resource, tenant) => {
        const all = stored(tenant, kind);
        found(all, resource.id);
        all.delete(resource.id);
        for (const group of stored(tenant, "Group").values()) {
            group.members = (group.members ?? []).filter((m) => m.value !== resource.id);
        }
    };
}

for (const [kind, name] of [["User", "userName"], ["Group", "displayName"]]) {
    SCIMMY.Resources.declare(SCIMMY.Resources[kind], {ingress: write(kind, name), egress: read(kind), degress: drop(kind)});
}

const app = express();
app.use("/:tenant", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${token}`) {
            throw new Error("wrong token");
        }
    },
    context: (request) => request.params.tenant,
    baseUri: (request) => `http://${request.get("Host")}`,
}));

const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit()).resume();
