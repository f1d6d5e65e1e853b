//! The protocol sheet of a server.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::web::State;
use crate::web::openapi::{Body, Endpoint, ID, Vantages};
use crate::web::params::Target;
use crate::web::problem::Problem;
use crate::web::respond;
use crate::web::view::sheet::SheetView;
use ntp_monitor_core::sheet::DRAFT;

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/servers/{id}/sheet", || web::to(sheet))
    .about(
        "The protocol sheet of each address of a server: what its replies show, and the results of at most one extra \
         request a day.",
    )
    .taking(&[ID])
    .of(Vantages::Own)
    .giving(Body::json::<SheetBody>("name, draft, sheets. An address that has not answered yet has no sheet."))
    .or(&[304, 404])];

#[derive(Debug, JsonSchema, Serialize)]
struct SheetBody {
    name: String,
    /// The draft of NTP version 5 that the question about version 5 announces.
    draft: &'static str,
    /// By address.
    sheets: Vec<AddressSheet>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct AddressSheet {
    address: String,
    #[serde(flatten)]
    sheet: SheetView,
}

/// `GET /api/v1/servers/{id}/sheet`.
async fn sheet(request: HttpRequest, state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let target = Target::find(&state, &id)?;
    let snapshot = state.snapshot.borrow().clone();
    let is_meant = |address| target.address.is_none_or(|wanted| wanted == address);
    let of_server = snapshot.series.keys().filter(|key| key.server == target.name && key.vantage.is_empty());
    let sheets = of_server.filter_map(|key| {
        let address = key.address.filter(|address| is_meant(*address))?;
        let sheet = state.sheets.sheet(key)?;
        Some(AddressSheet { address: address.to_string(), sheet: SheetView::of(&sheet) })
    });
    let sheets = sheets.collect();
    respond::json(&request, &SheetBody { name: target.name.to_string(), draft: DRAFT, sheets })
}
