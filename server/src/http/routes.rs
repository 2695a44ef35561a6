//! The only way to a router: each route with its permission, kept in a table. The tests of who may ask
//! what and the `OpenAPI` document are made from the table.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use http::Method;
use schemars::JsonSchema;
use schemars::generate::SchemaGenerator;
use serde_json::Value;

use super::access::{Access, Needs, Permission};
use super::{App, auth, spent};
use crate::tenancy::Right;

type SchemaOf = fn(&mut SchemaGenerator) -> Value;

/// A route, as the table has it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, parameters in braces.
    pub path: String,
    /// What it needs.
    pub needs: Needs,
    /// What it does, for people.
    pub summary: &'static str,
    /// Parameters of the URL, with what they mean.
    pub(super) query: Vec<(&'static str, &'static str)>,
    /// Body of a request, if it is JSON of one shape.
    pub(super) takes: Option<SchemaOf>,
    /// Body of a good answer, if it is JSON of one shape.
    pub(super) gives: Option<SchemaOf>,
    /// Whether good answers have no body.
    pub(super) is_silent: bool,
    /// Whether it looks at no rows before it answers.
    is_free: bool,
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

impl Route {
    /// Says what it does.
    pub fn says(&mut self, summary: &'static str) -> &mut Self {
        self.summary = summary;
        self
    }

    /// Names a parameter of the URL.
    pub fn asks(&mut self, name: &'static str, meaning: &'static str) -> &mut Self {
        self.query.push((name, meaning));
        self
    }

    /// Says what body it takes.
    pub fn takes<T: JsonSchema>(&mut self) -> &mut Self {
        self.takes = Some(schema_of::<T>);
        self
    }

    /// Says that good answers have no body.
    pub fn gives_nothing(&mut self) -> &mut Self {
        self.is_silent = true;
        self
    }

    /// Says that it looks at no rows before it answers, so that `explain` has nothing to tell.
    pub fn costs_nothing(&mut self) -> &mut Self {
        self.is_free = true;
        self
    }

    /// Whether it takes `explain`.
    pub fn is_explained(&self) -> bool {
        spent::is_told(self.needs) && !self.is_free
    }

    /// Says what it answers.
    pub fn gives<T: JsonSchema>(&mut self) -> &mut Self {
        self.gives = Some(schema_of::<T>);
        self
    }
}

/// Whether a route is there with a slash behind it, too: where rows are taken, since some exporters add one to
/// whatever address they are given.
fn takes_slash(needs: Needs, method: &Method, path: &str) -> bool {
    let takes_rows = matches!(needs, Needs::Project(Right::TraceWrite)) && *method != Method::GET;
    takes_rows && !path.contains("{*")
}

/// A handler's parameters, the first of which is the permission `P`.
pub trait StartsWith<P: Permission> {}

macro_rules! starts_with {
    ($($rest:ident),*) => {
        impl<M, P: Permission, $($rest),*> StartsWith<P> for (M, Access<P>, $($rest),*) {}
    };
}

starts_with!();
starts_with!(A);
starts_with!(A, B);
starts_with!(A, B, C);
starts_with!(A, B, C, D);

/// Routes and their table.
#[derive(Debug)]
pub struct Routes {
    app: Arc<App>,
    router: Router<Arc<App>>,
    table: Vec<Route>,
}

macro_rules! methods {
    ($($name:ident: $method:ident;)*) => {$(
        /// Adds a route of this method.
        pub fn $name<P, H, T>(&mut self, path: &str, permission: P, handler: H) -> &mut Route
        where
            P: Permission,
            H: Handler<T, Arc<App>>,
            T: StartsWith<P> + 'static,
        {
            let filter = (Method::$method, MethodFilter::$method);
            self.add(filter, path, permission, handler)
        }
    )*};
}

impl Routes {
    /// None yet.
    pub(super) fn new(app: &Arc<App>) -> Self {
        Self {
            app: Arc::clone(app),
            router: Router::new(),
            table: Vec::new(),
        }
    }

    methods! {
        get: GET;
        post: POST;
        put: PUT;
        patch: PATCH;
        delete: DELETE;
    }

    fn add<P, H, T>(
        &mut self,
        (method, filter): (Method, MethodFilter),
        path: &str,
        _permission: P,
        handler: H,
    ) -> &mut Route
    where
        P: Permission,
        H: Handler<T, Arc<App>>,
        T: StartsWith<P> + 'static,
    {
        let guard = from_fn_with_state((Arc::clone(&self.app), P::NEEDS), auth::guard);
        let mut router = std::mem::take(&mut self.router);
        if takes_slash(P::NEEDS, &method, path) {
            let handler = on(filter, handler.clone()).route_layer(guard.clone());
            router = router.route(&format!("{path}/"), handler);
        }
        self.router = router.route(path, on(filter, handler).route_layer(guard));
        let route = Route {
            method,
            path: path.to_owned(),
            needs: P::NEEDS,
            summary: "",
            query: Vec::new(),
            takes: None,
            gives: None,
            is_silent: false,
            is_free: false,
        };
        self.table.push(route);
        self.table
            .last_mut()
            .expect("BUG: a route was pushed and is not there")
    }

    /// Every route.
    pub fn table(&self) -> &[Route] {
        &self.table
    }

    /// The router.
    pub(super) fn into_router(self) -> Router<Arc<App>> {
        self.router
    }
}
