//! Which instance a request is about: the Host header names it, the migration map gives it a role.

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;

use super::app::App;
use super::connections::Cut;
use super::error::ApiError;
use crate::config::{HostName, Instance, Role};
use crate::work::Client;

/// A request to an instance that is a destination.
pub(super) struct Destination {
    pub app: App,
    pub client: Client,
    pub instance: Instance,
    /// The source in the migration map.
    pub source: HostName,
}

/// A request to an instance that is a source.
pub(super) struct Source {
    pub app: App,
    pub client: Client,
    pub connection: Cut,
    pub instance: Instance,
}

/// A request to an instance that is a source or a destination.
pub(super) struct Participant {
    pub app: App,
    pub client: Client,
    pub connection: Cut,
    pub instance: Instance,
}

/// A request to any instance of this service.
pub(super) struct Hosted {
    pub app: App,
    pub client: Client,
    pub instance: Instance,
    /// It stands in the migration map, on either side.
    pub has_role: bool,
}

impl FromRequestParts<App> for Participant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Hosted { app, client, instance, has_role } = Hosted::from_request_parts(parts, app).await?;
        if has_role { Ok(Self { app, client, connection: connection(parts), instance }) } else { Err(ApiError::NoRole) }
    }
}

impl FromRequestParts<App> for Hosted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let host = host(parts)?;
        let has_role = app.config().live_migration.migration_map.role_of(&host.host, host.port).is_some();
        Ok(Self { app: app.clone(), client: client(parts), instance: instance(app, &host)?, has_role })
    }
}

impl FromRequestParts<App> for Destination {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let host = host(parts)?;
        match app.config().live_migration.migration_map.role_of(&host.host, host.port) {
            Some(Role::Destination { source }) => {
                let (instance, source) = (instance(app, &host)?, source.clone());
                Ok(Self { app: app.clone(), client: client(parts), instance, source })
            }
            Some(Role::Source { .. }) | None => Err(ApiError::NoRole),
        }
    }
}

impl FromRequestParts<App> for Source {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let host = host(parts)?;
        match app.config().live_migration.migration_map.role_of(&host.host, host.port) {
            Some(Role::Source { .. }) => {
                let (client, connection) = (client(parts), connection(parts));
                Ok(Self { app: app.clone(), client, connection, instance: instance(app, &host)? })
            }
            Some(Role::Destination { .. }) | None => Err(ApiError::NoRole),
        }
    }
}

/// Who asks, as the accept loop noted it.
fn client(parts: &Parts) -> Client {
    parts.extensions.get().copied().unwrap_or_default()
}

/// What cuts the connection of the request.
fn connection(parts: &Parts) -> Cut {
    parts.extensions.get().cloned().unwrap_or_default()
}

/// A host that is no host has no role.
fn host(parts: &Parts) -> Result<HostName, ApiError> {
    let header = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse().ok()).ok_or(ApiError::NoRole)
}

fn instance(app: &App, host: &HostName) -> Result<Instance, ApiError> {
    app.config().instance_by_host(&host.host).cloned().ok_or(ApiError::NoRole)
}
