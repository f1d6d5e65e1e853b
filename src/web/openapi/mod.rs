//! The table of endpoints, from which the routes, their roles, `/api/openapi.json` (OpenAPI 3.1) and `/api/docs` are
//! generated.
//!
//! Bodies are described by the schemas of the Rust types that handlers parse and serialise.

mod browse;
mod document;
mod endpoint;
mod routes;

pub use browse::docs;
pub use document::openapi;
pub use endpoint::{Body, Endpoint, FROM, ID, JSON, Method, Parameter, Place, STEP, TO, Vantages, header, part, query};
pub use routes::{asked, needed, routes, row_of};

/// The endpoints of the API documentation itself.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/openapi.json", || actix_web::web::to(openapi))
        .about("The API description, for programs.")
        .giving(Body::json::<serde_json::Value>("An OpenAPI 3.1 document."))
        .or(&[304]),
    Endpoint::get("/api/docs", || actix_web::web::to(docs))
        .about("The API description, for people.")
        .giving(Body::text("text/html", "A page without scripts.")),
];
