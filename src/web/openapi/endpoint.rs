//! One thing that can be asked for: its route, who may use it, and what goes in and comes out.
//!
//! A handler's file holds the rows of its handlers as a constant, which [`crate::web::endpoints`] lists. Everything else
//! follows from the row: the route, the role that the gate asks for, the OpenAPI document and the page for people. So no
//! route is undocumented and nothing is documented that is not there.

use actix_web::Route;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::config::Role;

/// How it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As HTTP names it.
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

/// Of which vantages an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vantages {
    /// What it answers is not about a vantage.
    None,
    /// Of this one only; another one is 404.
    Own,
    /// A hub answers for every vantage whose samples it stores.
    All,
}

/// Something to ask for.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub method: Method,
    /// Where, with parameters in braces.
    pub path: &'static str,
    /// What for, in a sentence or two.
    pub about: &'static str,
    /// The role that is needed; `None` when everybody may, with or without a token.
    pub role: Option<Role>,
    /// What may be said in the path, the query and headers.
    parameters: &'static [Parameter],
    pub vantages: Vantages,
    /// The body that is wanted.
    pub request: Option<Body>,
    /// The status when all goes well.
    pub success: u16,
    /// What is answered then.
    pub answer: Body,
    /// Statuses beside it that the handler itself answers with; what the gate answers follows from the role.
    pub others: &'static [u16],
    /// It only answers a question, although the question needs a body: no change, and not for the audit log.
    pub only_asks: bool,
    /// Makes the handler's route.
    pub route: fn() -> Route,
}

/// What goes in or comes out.
#[derive(Clone, Copy)]
pub struct Body {
    /// What it is, in words.
    pub about: &'static str,
    /// Its media type; empty when there is no body.
    pub media: &'static str,
    /// Its schema: that of the type that is read or written.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    Header,
}

/// Something that may be said beside the body.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub place: Place,
    /// Its type: `string`, `integer` or `boolean`.
    pub kind: &'static str,
    /// Whether it must be there.
    pub required: bool,
    pub about: &'static str,
}

/// A parameter of the query that may be left out.
#[must_use]
pub const fn query(name: &'static str, kind: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, kind, required: false, about }
}

/// A header that may be left out.
#[must_use]
pub const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Header, kind: "string", required: false, about }
}

/// A part of the path.
#[must_use]
pub const fn part(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, kind: "string", required: true, about }
}

impl Parameter {
    /// The same, but it must be there.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The server that is meant.
pub const ID: Parameter = part("id", "The configured name, or name@address for one of its addresses; percent-encoded.");
/// The beginning of a span.
pub const FROM: Parameter = query("from", "string", "Beginning: RFC 3339, now, or relative such as -1h.");
/// The end of a span.
pub const TO: Parameter = query("to", "string", "End, likewise; now unless given.");
/// The resolution of a history.
pub const STEP: Parameter = query("step", "string", "The wished distance of two points: 5m, 1h, or seconds.");

const OWN_VANTAGE: Parameter =
    query("vantage", "string", "The vantage; this one unless given. Others keep this to themselves, and are 404.");
const ANY_VANTAGE: Parameter =
    query("vantage", "string", "The vantage; this one unless given. A hub answers for each whose samples it stores.");

/// The media type of JSON.
pub const JSON: &str = "application/json";

impl Body {
    /// A `T` as JSON.
    #[must_use]
    pub const fn json<T: JsonSchema>(about: &'static str) -> Self {
        Self { about, media: JSON, schema: SchemaGenerator::subschema_for::<T> }
    }

    /// Text of another media type.
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

    /// Something to read. Needs the role `read`, where reading is not open.
    #[must_use]
    pub const fn get(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Get, path, Role::Read, route)
    }

    /// Something to do or to make. Needs the role `operate`.
    #[must_use]
    pub const fn post(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Post, path, Role::Operate, route)
    }

    /// Something to replace. Needs the role `operate`.
    #[must_use]
    pub const fn put(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Put, path, Role::Operate, route)
    }

    /// Something to change. Needs the role `operate`.
    #[must_use]
    pub const fn patch(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Patch, path, Role::Operate, route)
    }

    /// Something to take away. Needs the role `operate`.
    #[must_use]
    pub const fn delete(path: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::Delete, path, Role::Operate, route)
    }

    /// What it is for.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Needs this role instead.
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

    /// Is there for everybody.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.role = None;
        self
    }

    /// What may be said.
    #[must_use]
    pub const fn taking(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    /// It takes the parameter `vantage`.
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

    /// The body that is wanted.
    #[must_use]
    pub const fn wanting(mut self, request: Body) -> Self {
        self.request = Some(request);
        self
    }

    /// What is answered when all goes well, with 200.
    #[must_use]
    pub const fn giving(self, answer: Body) -> Self {
        self.giving_with(200, answer)
    }

    /// What is answered when all goes well, with this status.
    #[must_use]
    pub const fn giving_with(mut self, success: u16, answer: Body) -> Self {
        self.success = success;
        self.answer = answer;
        self
    }

    /// Which other statuses the handler answers with.
    #[must_use]
    pub const fn or(mut self, others: &'static [u16]) -> Self {
        self.others = others;
        self
    }
}
