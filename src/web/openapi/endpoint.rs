//! An endpoint: its route, the required role, its parameters, body and responses.
//!
//! Each handler's file defines its endpoints as a constant, which [`crate::web::endpoints`] lists. The route, the role
//! that the gate requires, the OpenAPI document and the documentation page are derived from it, so every route is
//! documented and everything documented exists.

use actix_web::Route;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::config::Role;

/// The HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The name in HTTP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The vantages that an endpoint answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantages {
    /// The response is not about a vantage.
    None,
    /// Only this vantage; others get 404.
    Own,
    /// A hub answers for every vantage whose samples it stores.
    All,
}

/// An endpoint.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The purpose, in a sentence or two.
    pub about: &'static str,
    /// The required role; `None` when no token is needed.
    pub role: Option<Role>,
    /// The parameters in the path, the query and the headers.
    parameters: &'static [Parameter],
    pub vantages: Vantages,
    /// The request body.
    pub request: Option<Body>,
    /// The status of a success.
    pub success: u16,
    /// The body of a success.
    pub answer: Body,
    /// The handler's other statuses. Those of the gate follow from the role.
    pub others: &'static [u16],
    /// A query although it has a body: it changes nothing and is not recorded in the audit log.
    pub only_asks: bool,
    /// Creates the handler's route.
    pub route: fn() -> Route,
}

/// A request or response body.
#[derive(Clone, Copy)]
pub struct Body {
    /// The description.
    pub about: &'static str,
    /// The media type; empty when there is no body.
    pub media: &'static str,
    /// The schema of the Rust type.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The place of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    Header,
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub place: Place,
    /// The type: `string`, `integer` or `boolean`.
    pub kind: &'static str,
    /// Whether it is required.
    pub required: bool,
    pub about: &'static str,
}

/// An optional query parameter.
#[must_use]
pub const fn query(name: &'static str, kind: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, kind, required: false, about }
}

/// An optional header.
#[must_use]
pub const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Header, kind: "string", required: false, about }
}

/// A path parameter.
#[must_use]
pub const fn part(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, kind: "string", required: true, about }
}

impl Parameter {
    /// Makes the parameter required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The id of a server.
pub const ID: Parameter = part("id", "The configured name, or name@address for one of its addresses; percent-encoded.");
/// The start of a span.
pub const FROM: Parameter = query("from", "string", "Start of the span: RFC 3339, now, or relative such as -1h.");
/// The end of a span.
pub const TO: Parameter = query("to", "string", "End of the span, in the same formats. Default: now.");
/// The resolution of a history.
pub const STEP: Parameter = query("step", "string", "The desired distance between points: 5m, 1h, or seconds.");

const OWN_VANTAGE: Parameter = query(
    "vantage",
    "string",
    "The vantage. Default: this one. Only a vantage itself has this data, so any other gives 404.",
);
const ANY_VANTAGE: Parameter = query(
    "vantage",
    "string",
    "The vantage. Default: this one. A hub answers for each vantage whose samples it stores.",
);

/// The media type of JSON.
pub const JSON: &str = "application/json";

impl Body {
    /// A JSON body of type `T`.
    #[must_use]
    pub const fn json<T: JsonSchema>(about: &'static str) -> Self {
        Self { about, media: JSON, schema: SchemaGenerator::subschema_for::<T> }
    }

    /// A text body of another media type.
    #[must_use]
    pub const fn text(media: &'static str, about: &'static str) -> Self {
        Self { about, media, schema: SchemaGenerator::subschema_for::<String> }
    }

    #[must_use]
    pub const fn none(about: &'static str) -> Self {
        Self { about, media: "", schema: SchemaGenerator::subschema_for::<()> }
    }
}

impl Endpoint {
    const fn new(method: Method, path: &'static str, role: Role, route: fn() -> Route) -> Self {
        Self {
            method,
            path,
            about: "",
            role: Some(role),
            parameters: &[],
            vantages: Vantages::None,
            request: None,
            success: 200,
            answer: Body::none(""),
            others: &[],
            only_asks: false,
            route,
        }
    }

    /// A GET endpoint. Needs the role `read`, unless reading is open.
    #[must_use]
    pub const fn get(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Get, path, Role::Read, route)
    }

    /// A POST endpoint. Needs the role `operate`.
    #[must_use]
    pub const fn post(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Post, path, Role::Operate, route)
    }

    /// A PUT endpoint. Needs the role `operate`.
    #[must_use]
    pub const fn put(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Put, path, Role::Operate, route)
    }

    /// A PATCH endpoint. Needs the role `operate`.
    #[must_use]
    pub const fn patch(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Patch, path, Role::Operate, route)
    }

    /// A DELETE endpoint. Needs the role `operate`.
    #[must_use]
    pub const fn delete(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Delete, path, Role::Operate, route)
    }

    /// Sets the purpose.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Sets the required role.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    #[must_use]
    pub const fn only_asking(mut self) -> Self {
        self.only_asks = true;
        self
    }

    /// Makes the endpoint public.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.role = None;
        self
    }

    /// Sets the parameters.
    #[must_use]
    pub const fn taking(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    /// Adds the parameter `vantage`.
    #[must_use]
    pub const fn of(mut self, vantages: Vantages) -> Self {
        self.vantages = vantages;
        self
    }

    /// Every parameter.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + use<> {
        let vantage = match self.vantages {
            Vantages::None => None,
            Vantages::Own => Some(&OWN_VANTAGE),
            Vantages::All => Some(&ANY_VANTAGE),
        };
        self.parameters.iter().chain(vantage)
    }

    /// Sets the request body.
    #[must_use]
    pub const fn wanting(mut self, request: Body) -> Self {
        self.request = Some(request);
        self
    }

    /// Sets the response with status 200.
    #[must_use]
    pub const fn giving(self, answer: Body) -> Self {
        self.giving_with(200, answer)
    }

    /// Sets the response of a success with another status.
    #[must_use]
    pub const fn giving_with(mut self, success: u16, answer: Body) -> Self {
        self.success = success;
        self.answer = answer;
        self
    }

    /// Sets the handler's other statuses.
    #[must_use]
    pub const fn or(mut self, others: &'static [u16]) -> Self {
        self.others = others;
        self
    }
}
