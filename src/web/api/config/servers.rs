//! Adds, changes, pauses and removes single servers in the configuration file.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{IF_MATCH_HEADER, answer, condition, done};
use crate::config::edit::ServerEdit;
use crate::config::{Role, schema_value};
use crate::web::State;
use crate::web::config_editor::{Check, Edit};
use crate::web::openapi::{Body, Endpoint, Parameter, part};
use crate::web::params::Target;
use crate::web::problem::Problem;

const NAME: Parameter = part("id", "The configured name; percent-encoded.");
const ANSWER: Body = Body::json::<Check>("valid, faults, warnings, diff, changes; the new ETag is in the header.");

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post("/api/v1/servers", || web::to(add))
        .about("Adds a server to the configuration file and starts polling it.")
        .role(Role::Admin)
        .taking(&[IF_MATCH_HEADER])
        .wanting(Body::json::<NewServer>("The keys of a [[server]]; address is needed."))
        .giving_with(201, ANSWER)
        .or(&[409, 412, 422, 503]),
    Endpoint::patch("/api/v1/servers/{id}", || web::to(change))
        .about("Changes keys of a server in the configuration file; null removes a key.")
        .role(Role::Admin)
        .taking(&[NAME, IF_MATCH_HEADER])
        .wanting(Body::json::<ServerKeys>("The keys of a [[server]] to change."))
        .giving(ANSWER)
        .or(&[404, 409, 412, 422, 503]),
    Endpoint::delete("/api/v1/servers/{id}", || web::to(remove))
        .about("Removes a server from the configuration file. Its samples stay in the store.")
        .role(Role::Admin)
        .taking(&[NAME, IF_MATCH_HEADER])
        .giving_with(204, Body::none("The server is removed; the new ETag is in the header."))
        .or(&[404, 409, 412, 422, 503]),
    Endpoint::post("/api/v1/servers/{id}/pause", || web::to(pause))
        .about("Stops polling a server and excludes it from the verdict until it is resumed.")
        .role(Role::Admin)
        .taking(&[NAME, IF_MATCH_HEADER])
        .giving(ANSWER)
        .or(&[404, 409, 412, 422, 503]),
    Endpoint::post("/api/v1/servers/{id}/resume", || web::to(resume))
        .about("Resumes polling of a paused server.")
        .role(Role::Admin)
        .taking(&[NAME, IF_MATCH_HEADER])
        .giving(ANSWER)
        .or(&[404, 409, 412, 422, 503]),
];

/// The keys of a `[[server]]`, as in the configuration file.
#[derive(Deserialize)]
struct NewServer(Map<String, Value>);

/// The keys to change; `null` removes a key.
#[derive(Deserialize)]
struct ServerKeys(Map<String, Value>);

impl JsonSchema for NewServer {
    fn schema_name() -> Cow<'static, str> {
        "NewServer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        server_schema().try_into().unwrap_or_default()
    }
}

impl JsonSchema for ServerKeys {
    fn schema_name() -> Cow<'static, str> {
        "ServerKeys".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = server_schema();
        for (_, key) in schema["properties"].as_object_mut().into_iter().flatten() {
            *key = json!({ "anyOf": [key.take(), { "type": "null" }] });
        }
        schema.as_object_mut().map(|schema| schema.remove("required"));
        schema.try_into().unwrap_or_default()
    }
}

/// The part of the configuration's JSON schema that describes a `[[server]]`.
fn server_schema() -> Value {
    schema_value()["properties"]["server"]["items"].clone()
}

async fn add(
    request: HttpRequest,
    state: web::Data<State>,
    keys: web::Json<NewServer>,
) -> Result<HttpResponse, Problem> {
    let keys = keys.into_inner().0;
    let name = ["name", "address"].into_iter().find_map(|key| keys.get(key)?.as_str().map(str::to_owned));
    let done = done(&request, &state, condition(&request), Edit::Server(ServerEdit::Add(keys))).await?;
    let mut response = answer(StatusCode::CREATED, &done);
    let path: String = name.unwrap_or_default().bytes().map(|byte| format!("%{byte:02X}")).collect();
    Ok(response.insert_header((LOCATION, format!("/api/v1/servers/{path}"))).json(done.check))
}

async fn change(
    request: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
    keys: web::Json<ServerKeys>,
) -> Result<HttpResponse, Problem> {
    set(&request, &state, &id, keys.into_inner().0).await
}

async fn pause(request: HttpRequest, state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    set(&request, &state, &id, Map::from_iter([("paused".to_owned(), json!(true))])).await
}

async fn resume(request: HttpRequest, state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    // `false` is the default, so the key is removed instead of written.
    set(&request, &state, &id, Map::from_iter([("paused".to_owned(), Value::Null)])).await
}

async fn set(
    request: &HttpRequest,
    state: &State,
    id: &str,
    keys: Map<String, Value>,
) -> Result<HttpResponse, Problem> {
    let edit = Edit::Server(ServerEdit::Change(name(state, id)?, keys));
    let done = done(request, state, condition(request), edit).await?;
    Ok(answer(StatusCode::OK, &done).json(done.check))
}

async fn remove(request: HttpRequest, state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let edit = Edit::Server(ServerEdit::Remove(name(&state, &id)?));
    let done = done(&request, &state, condition(&request), edit).await?;
    Ok(answer(StatusCode::NO_CONTENT, &done).finish())
}

/// The name of the requested server. A single address of it cannot be changed.
fn name(state: &State, id: &str) -> Result<String, Problem> {
    match Target::find(state, id)? {
        Target { name, address: None } => Ok(name.to_string()),
        Target { name, .. } => Err(Problem::not_found(format!("{id:?} is one address of {name:?}: change the server"))),
    }
}
