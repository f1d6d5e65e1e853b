//! Rejected edits as problem documents.

use actix_web::http::StatusCode;

use crate::config::edit::EditError;
use crate::web::config_editor::{FaultView, Refused};
use crate::web::problem::Problem;

impl From<Refused> for Problem {
    fn from(why: Refused) -> Self {
        let detail = why.to_string();
        match why {
            Refused::Stale => Self::new(StatusCode::PRECONDITION_FAILED, detail),
            Refused::Unsound(faults) => {
                let faults = faults.0.iter().map(FaultView::from).collect();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_faults(faults)
            }
            Refused::Edit(EditError::NoServer(_) | EditError::NoTables(_))
            | Refused::File(_)
            | Refused::NotTakenUp(_) => Self::new(StatusCode::CONFLICT, detail),
            Refused::Edit(why) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_faults(vec![FaultView::from(&why)])
            }
            Refused::NoAnswer => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}
