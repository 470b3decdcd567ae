"""What an OpenAPI 3.1 document may hold, as a JSON schema: the objects of the specification (https://spec.openapis.org/oas/v3.1.0) that
docs/http uses, each with all its fields and no others but x-…; a field that the specification has and that is not here is an error too."""

TEXT = {"type": "string", "minLength": 1}
SCHEMA = {"type": ["object", "boolean"]}  # JSON Schema has a schema of its own
ANY = {}


def one(required, /, **properties):
    return {"type": "object", "required": required, "properties": properties, "patternProperties": {"^x-": ANY}, "additionalProperties": False}


def ref(name):
    return {"$ref": f"#/$defs/{name}"}


def or_reference(name):
    return {"if": {"type": "object", "required": ["$ref"]}, "then": ref("reference"), "else": ref(name)}


def named(value, names="^[a-zA-Z0-9._-]+$"):
    return {"type": "object", "propertyNames": {"pattern": names}, "additionalProperties": value}


def list_of(value, **more):
    return dict({"type": "array", "items": value}, **more)


WHERE = ["query", "header", "path", "cookie"]

DEFS = {
    "reference": {"type": "object", "required": ["$ref"], "additionalProperties": False,
                  "properties": {"$ref": {"type": "string", "pattern": "^#/components/[a-zA-Z]+/[a-zA-Z0-9._-]+$"}, "summary": TEXT, "description": TEXT}},
    "info": one(["title", "version"], title=TEXT, version=TEXT, summary=TEXT, description=TEXT, termsOfService=TEXT, contact=ANY,
                license=one(["name"], name=TEXT, identifier=TEXT, url=TEXT)),
    "server": one(["url"], url=TEXT, description=TEXT, variables=ANY),
    "tag": one(["name"], name=TEXT, description=TEXT, externalDocs=ANY),
    "security": named(list_of(TEXT)),
    "media": one([], schema=SCHEMA, example=ANY, examples=ANY, encoding=ANY),
    "header": one(["schema"], description=TEXT, required={"type": "boolean"}, deprecated={"type": "boolean"}, schema=SCHEMA, example=ANY),
    "parameter": dict(one(["name", "in", "schema"], **{"name": TEXT, "in": {"enum": WHERE}, "description": TEXT, "required": {"type": "boolean"},
                                                       "deprecated": {"type": "boolean"}, "style": TEXT, "explode": {"type": "boolean"},
                                                       "schema": SCHEMA, "example": ANY}),
                      **{"if": {"properties": {"in": {"const": "path"}}}, "then": {"properties": {"required": {"const": True}}, "required": ["required"]}}),
    "body": one(["content"], description=TEXT, content=named(ref("media"), "^[a-z]+/[a-z0-9.+-]+$"), required={"type": "boolean"}),
    "response": one(["description"], description=TEXT, headers=named(or_reference("header")), content=named(ref("media"), "^[a-z]+/[a-z0-9.+-]+$"),
                    links=ANY),
    "operation": one(["responses"], tags=list_of(TEXT), summary=TEXT, description=TEXT, operationId={"type": "string", "pattern": "^[a-z][A-Za-z]+$"},
                     parameters=list_of(or_reference("parameter"), uniqueItems=True), requestBody=or_reference("body"),
                     responses=dict(named(or_reference("response"), "^[1-5][0-9]{2}$"), minProperties=1), deprecated={"type": "boolean"},
                     security=list_of(ref("security")), servers=list_of(ref("server"))),
    "path": one([], summary=TEXT, description=TEXT, parameters=list_of(or_reference("parameter"), uniqueItems=True), servers=list_of(ref("server")),
                **{method: ref("operation") for method in ("get", "put", "post", "delete", "options", "head", "patch", "trace")}),
    "scheme": {"oneOf": [one(["type", "scheme"], type={"const": "http"}, scheme=TEXT, bearerFormat=TEXT, description=TEXT),
                         one(["type", "name", "in"], **{"type": {"const": "apiKey"}, "name": TEXT, "in": {"enum": ["query", "header", "cookie"]},
                                                        "description": TEXT})]},
    "components": one([], schemas=named(SCHEMA), responses=named(ref("response")), parameters=named(ref("parameter")), headers=named(ref("header")),
                      requestBodies=named(ref("body")), securitySchemes=named(ref("scheme")), examples=ANY, links=ANY, callbacks=ANY, pathItems=ANY),
}

DOCUMENT = dict(one(["openapi", "info", "paths"], openapi={"type": "string", "pattern": r"^3\.1\.\d+$"}, info=ref("info"), jsonSchemaDialect=TEXT,
                    servers=list_of(ref("server"), minItems=1), paths=dict(named(ref("path"), "^/"), minProperties=1), webhooks=ANY,
                    components=ref("components"), security=list_of(ref("security")), tags=list_of(ref("tag"), uniqueItems=True), externalDocs=ANY),
                **{"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": DEFS})
