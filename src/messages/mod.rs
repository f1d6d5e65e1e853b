//! What actors say to each other. Data only.
