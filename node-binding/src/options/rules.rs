//! What decides on requests: who may call, from which pages, and which handlers.

use fasttunnel_engine::link::hosts::Offer;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions, Origin};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Kind};
use napi_derive::napi;

use super::{CodedError, NativeOptions, bad_option};

/// CORS options (CONTRACT 8).
#[napi(object)]
pub struct NativeCors {
    /// One origin, sent always.
    pub fixed_origin: Option<String>,
    /// Ask JavaScript.
    pub asked_origin: Option<bool>,
    /// Listed origins, compared exactly.
    pub listed_origins: Option<Vec<String>>,
    /// Allowed methods.
    pub methods: Vec<String>,
    /// Allowed request headers.
    pub allowed_headers: Vec<String>,
    /// Readable response headers.
    pub exposed_headers: Vec<String>,
    /// `Access-Control-Allow-Credentials`.
    pub credentials: bool,
    /// Seconds a preflight may be cached.
    pub max_age: Option<u32>,
    /// `Vary: Origin` where the answer depends on it.
    pub vary_origin: bool,
}

impl NativeCors {
    fn options(&self) -> CorsOptions {
        CorsOptions {
            origin: match (&self.fixed_origin, &self.listed_origins) {
                _ if self.asked_origin == Some(true) => Origin::Asked,
                (Some(origin), _) => Origin::Fixed(origin.clone()),
                (None, Some(origins)) => Origin::List(origins.clone()),
                (None, None) => Origin::Unset,
            },
            methods: self.methods.clone(),
            allowed_headers: self.allowed_headers.clone(),
            exposed_headers: self.exposed_headers.clone(),
            credentials: self.credentials,
            max_age: self.max_age,
            vary_origin: self.vary_origin,
        }
    }
}

/// One row of the handler table.
#[napi(object)]
pub struct NativeHandler {
    /// Task or event.
    pub event: bool,
    /// Its id.
    pub id: String,
    /// The number that calls carry, if it has one already and is the same handler as then.
    pub number: Option<u32>,
}

/// Which of the handlers may be called (CONTRACT 5).
#[napi(object)]
pub struct NativeAllow {
    /// `registered`, `none`, `open` or `list`.
    pub policy: String,
    /// Listed tasks.
    pub tasks: Vec<String>,
    /// Listed events.
    pub events: Vec<String>,
}

impl NativeAllow {
    /// As the engine has it.
    pub fn policy(self) -> Result<Allow, CodedError> {
        match self.policy.as_str() {
            "registered" => Ok(Allow::AllRegistered),
            "none" => Ok(Allow::NotEnabled),
            "open" => Ok(Allow::Open),
            "list" => Ok(Allow::List { tasks: self.tasks, events: self.events }),
            // Never open by mistake.
            other => Err(bad_option(format!("allow: {other:?} is no policy"))),
        }
    }
}

/// What the event loop offers.
pub fn offers(handlers: Vec<NativeHandler>) -> Vec<Offer> {
    let offer = |NativeHandler { event, id, number }| {
        let kind = if event { Kind::Event } else { Kind::Task };
        Offer { kind, id, number }
    };
    handlers.into_iter().map(offer).collect()
}

/// What decides on requests besides the handlers, which may change: compiled once, so that no token has to be kept.
pub struct Rules {
    base_path: BasePath,
    auth: AuthConfig,
    cors: Cors,
    disable_discovery: bool,
    server_options: bool,
    any_coding: bool,
}

impl Rules {
    /// The path that all routes lie under.
    pub fn base_path(&self) -> &BasePath {
        &self.base_path
    }

    /// The rules with the handlers of the moment.
    pub fn exposure(&self, table: HandlerTable) -> Exposure {
        Exposure {
            base_path: self.base_path.clone(),
            table,
            auth: self.auth.clone(),
            cors: self.cors.clone(),
            disable_discovery: self.disable_discovery,
            server_options: self.server_options,
            any_coding: self.any_coding,
        }
    }
}

impl NativeOptions {
    /// Compiles what decides on requests. Once: the tokens are taken, and wiped.
    pub fn rules(&mut self) -> Result<Rules, CodedError> {
        let auth = AuthOptions {
            header: Some(self.token_header.clone()),
            tokens: self.tokens.take(),
            allow_anonymous: self.allow_anonymous,
            validators: self.validators,
        };
        Ok(Rules {
            auth: AuthConfig::new(auth).map_err(bad_option)?,
            base_path: BasePath::new(&self.base_path).map_err(bad_option)?,
            cors: Cors::new(&self.cors.as_ref().map(NativeCors::options).unwrap_or_default()).map_err(bad_option)?,
            disable_discovery: self.disable_discovery,
            server_options: !self.reference,
            any_coding: self.reference,
        })
    }
}
