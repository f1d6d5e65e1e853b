//! `/api/v1/`: everything the service knows, as JSON. Reading only.

mod about;
mod events;
mod history;
pub mod judgement;
mod notifiers;
pub mod points;
mod servers;

use actix_web::web;

use super::live;
use super::problem::wrong_method;

/// The routes below `/api/v1`.
pub fn routes(config: &mut web::ServiceConfig) {
    let get = |path: &str, handler: actix_web::Route| {
        web::resource(path.to_owned()).route(handler).default_service(web::to(wrong_method))
    };
    config
        .service(get("/version", web::get().to(about::version)))
        .service(get("/config", web::get().to(about::config)))
        .service(get("/servers", web::get().to(servers::list)))
        .service(get("/servers/{id}", web::get().to(servers::one)))
        .service(get("/servers/{id}/samples", web::get().to(history::samples)))
        .service(get("/servers/{id}/stats", web::get().to(history::stats)))
        .service(get("/servers/{id}/stability", web::get().to(history::stability)))
        .service(get("/servers/{id}/evidence", web::get().to(history::evidence)))
        .service(get("/verdict", web::get().to(judgement::verdict)))
        .service(get("/local", web::get().to(judgement::local)))
        .service(get("/events", web::get().to(events::events)))
        .app_data(web::Data::new(notifiers::Tests::default()))
        .service(get("/notifiers", web::get().to(notifiers::list)))
        .service(get("/notifiers/{name}/test", web::post().to(notifiers::test)))
        .service(get("/stream", web::get().to(live::stream)));
}
