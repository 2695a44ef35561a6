//! The life of a server: bind, recover, serve, stop.
//!
//! The address is bound before the engine recovers, so that `/live` and `/ready` answer from the
//! first moment on. Everything that blocks (recovery, the last flush) is off the network threads.

mod allocator;
mod first_start;
mod housekeeping;
mod purge;
pub(crate) mod settings;
mod signing_in;
pub(crate) mod watchdog;

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::blob::s3::S3Blobs;
use crate::blob::{Blobs, Terms};
use crate::governance::Governance;
use crate::http::auth::NoSessions;
use crate::http::{App, Core};
use crate::interpreter::Reading;
use crate::keys::Macs;
use crate::limits::QUERIES_HEAVY_WAITING_MAX;
use crate::net::tls::{Tls, TlsError};
use crate::net::{accept, unix};
use crate::price::{self, Book};
use crate::quota::Quota;
use crate::secret::{self, SecretError};
use crate::signin::mail::MailError;
use crate::signin::oidc::{Providers, ProvidersError};
use crate::signin::{Accounts, SignInError};
use crate::tenancy::plane::RecoverError;
use crate::tenancy::{ChangeError, ControlPlane};
use crate::uses::Uses;
use crate::{admin, http};
use housekeeping::{keep_house, store_uses, work_always};
use obsrv_engine::engine::{Engine, OpenError, Options, State, Threads};
use obsrv_engine::io::{Clock, OpenError as DiskOpenError, RealTree, Rng};
use obsrv_engine::source::SourceError;
use watchdog::watch_over;

pub use settings::{Config, GrpcAddress, PublicUrl};

/// Blocking threads: decoding, queries, recovery; and those on which a question waits that was found heavy.
const BLOCKING_THREADS_MAX: usize = 16 + QUERIES_HEAVY_WAITING_MAX;
/// What a stopped runtime waits for.
const RUNTIME_STOP_TIME: Duration = Duration::from_secs(1);

/// Why a server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from elsewhere, and there is no TLS.
    #[error(
        "refusing to listen without tls; give --tls-cert and --tls-key, or put a proxy in front and \
         say --behind-proxy address={0}"
    )]
    Exposed(SocketAddr),
    /// Whoever connects could say that they come from anywhere.
    #[error("--trusted-proxy makes sense with --behind-proxy only")]
    NoProxy,
    /// TLS was asked for and cannot be had.
    #[error("no tls")]
    Tls(#[from] TlsError),
    /// Mail was asked for and cannot be sent.
    #[error("no mail")]
    Mail(#[from] MailError),
    /// The table of prices makes no sense.
    #[error("prices")]
    Prices(#[from] price::TableError),
    /// A provider was asked for and cannot be used.
    #[error("providers")]
    Providers(#[from] ProvidersError),
    /// Who may sign in cannot be told.
    #[error("no sign-in")]
    SignIn(#[from] SignInError),
    /// The operating system refused.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Others can read the master secret.
    #[error("others can read the master secret; set its mode to 0600 file={0}")]
    SecretMode(PathBuf),
    /// The data directory is in use or cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskOpenError),
    /// No master secret.
    #[error("master secret does not load")]
    Secret(#[from] SecretError),
    /// The engine does not open.
    #[error("data directory does not open")]
    Open(#[from] OpenError),
    /// The control plane does not come back.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// Counts of what was used do not read.
    #[error("counts of use do not read")]
    Usage(#[source] SourceError),
    /// The first project or key could not be made.
    #[error("first project could not be made")]
    FirstStart(#[from] ChangeError),
    /// The engine failed while it ran.
    #[error("engine failed; what was acknowledged is safe, start again")]
    EngineFailed,
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ServeError {
    let what = what.into();
    move |source| ServeError::Io { what, source }
}

/// The injected system.
#[derive(Clone, Debug)]
struct System {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

/// A recovered engine and what belongs to it.
struct Running {
    engine: Arc<Engine>,
    threads: Threads,
    plane: Arc<ControlPlane>,
    governance: Arc<Governance>,
    accounts: Arc<Accounts>,
    providers: Providers,
    uses: Arc<Uses>,
    cursors: Macs,
    blob_links: Macs,
    is_first_start: bool,
}

/// Runs a server until it is told to stop.
pub fn run(config: Config) -> Result<(), ServeError> {
    config.check()?;
    let tls = config.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    // Sockets and files that others could open are never made, not even for a moment.
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    make_private(&config.data)?;
    allocator::suit(config.memory_bytes);
    let runtime = Builder::new_multi_thread()
        .worker_threads(network_threads())
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("obsrv-net")
        .enable_all()
        .build()
        .map_err(io("runtime does not start"))?;
    let outcome = runtime.block_on(live(config, tls));
    runtime.shutdown_timeout(RUNTIME_STOP_TIME);
    outcome
}

fn network_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1))
}

fn make_private(data: &Path) -> Result<(), ServeError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(io(format!(
            "data directory cannot be made path={}",
            data.display()
        )))
}

/// The signals that stop the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, ServeError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(io("no signals"))?,
            interrupt: signal(SignalKind::interrupt()).map_err(io("no signals"))?,
        })
    }

    async fn told_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

async fn live(config: Config, tls: Option<Arc<Tls>>) -> Result<(), ServeError> {
    let mut signals = Signals::listen()?;
    let system = System {
        clock: system::clock(),
        rng: system::rng(),
    };
    let (stop, stopped) = watch::channel(false);
    let door = open_door(&config, &system, tls.as_deref(), stopped.clone()).await?;
    let (app, address) = (door.app, door.address);
    let opening = open_in_background(&config, system, Arc::clone(app.book()));
    let running = tokio::select! {
        opened = opening => opened?,
        () = signals.told_to_stop() => return Ok(()),
    };
    let Running {
        engine,
        threads,
        plane,
        governance,
        accounts,
        providers,
        uses,
        cursors,
        blob_links,
        is_first_start,
    } = running;
    let blobs = keep_blobs(&config, address, blob_links).await?;
    if is_first_start {
        first_start::prepare(&plane, &config, address).await?;
    }
    let signin = signing_in::prepare(&config, Arc::clone(&accounts), providers, address).await?;
    let router = admin::build(
        Arc::clone(&app),
        &engine,
        Arc::clone(&plane),
        Arc::clone(&signin),
        Arc::clone(&governance),
        Arc::clone(&blobs),
    );
    open_socket(&config, router, stopped)?;
    let core = Core::new(
        Arc::clone(&engine),
        Arc::clone(&plane),
        Arc::clone(&governance),
        cursors,
        Arc::new(NoSessions),
    );
    app.set_ready(core.signing_in(signin).keeping(Arc::clone(&blobs)));
    tracing::info!(%address, grpc = door.grpc, data = %config.data.display(), "ready");
    first_start::greet(address);
    let failed = tokio::select! {
        () = signals.told_to_stop() => false,
        () = watch_over(&app, &engine) => true,
        () = allocator::keep_to(config.memory_bytes) => true,
        () = keep_house(&app, &plane, &accounts, &uses, tls) => true,
        () = work_always(&engine, &plane, &governance, &blobs, &app, &uses) => true,
    };
    shut_down(&stop, door.serving).await;
    if !failed {
        settle(&app, &uses, &plane, threads).await;
    }
    remove_socket(&config.data);
    if failed || engine.state() == State::Failed {
        Err(ServeError::EngineFailed)
    } else {
        Ok(())
    }
}

/// The public addresses, answered from the first moment on.
struct Door {
    app: Arc<App>,
    address: SocketAddr,
    /// Where gRPC is, or `off`: who asks for port 0 learns it by this.
    grpc: String,
    serving: JoinHandle<()>,
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let what = format!("address cannot be bound address={address}");
    TcpListener::bind(address).await.map_err(io(what))
}

async fn bind_grpc(address: GrpcAddress) -> Result<Option<TcpListener>, ServeError> {
    match address {
        GrpcAddress::Off => Ok(None),
        GrpcAddress::At(address) => bind(address).await.map(Some),
        GrpcAddress::IfFree(address) => {
            let bound = bind(address).await.ok();
            if bound.is_none() {
                tracing::warn!(%address, "no otlp over grpc: the address is taken; give --grpc another or off");
            }
            Ok(bound)
        }
    }
}

async fn open_door(
    config: &Config,
    system: &System,
    tls: Option<&Tls>,
    stopped: watch::Receiver<bool>,
) -> Result<Door, ServeError> {
    let listener = bind(config.http).await?;
    let grpc = bind_grpc(config.grpc).await?;
    let address = listener.local_addr().map_err(io("address unknown"))?;
    let of_grpc = grpc.as_ref().map(TcpListener::local_addr).transpose();
    let of_grpc = of_grpc.map_err(io("address unknown"))?;
    let app = App::new(
        Arc::clone(&system.clock),
        config.memory_bytes,
        config.decoded_bytes_max,
        seed(&*system.rng),
    );
    if let Some(file) = &config.prices {
        let text = std::fs::read(file).map_err(io("prices do not read"))?;
        app.set_prices(price::Table::read(&text)?);
    }
    let router = http::build(Arc::clone(&app));
    let doorway = accept::Doorway {
        tls: tls.map(|tls| tls.acceptor().clone()),
        proxies: config.proxies(),
    };
    let calls = grpc.map(|listener| {
        let router = http::grpc::build(Arc::clone(&app));
        accept::serve(
            listener,
            Arc::clone(&app),
            router,
            doorway.clone(),
            stopped.clone(),
        )
    });
    let requests = accept::serve(listener, Arc::clone(&app), router, doorway, stopped);
    let serving = async move {
        match calls {
            Some(calls) => drop(tokio::join!(requests, calls)),
            None => requests.await,
        }
    };
    Ok(Door {
        app,
        address,
        grpc: of_grpc.map_or_else(|| "off".to_owned(), |address| address.to_string()),
        serving: tokio::spawn(serving),
    })
}

/// The admin socket.
fn open_socket(
    config: &Config,
    router: axum::Router,
    stopped: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let socket = unix::bind(&config.data).map_err(io("admin socket cannot be made"))?;
    tokio::spawn(unix::serve(socket, router, stopped));
    Ok(())
}

/// Where attachments are kept.
async fn keep_blobs(
    config: &Config,
    address: SocketAddr,
    links: Macs,
) -> Result<Arc<Blobs>, ServeError> {
    let terms = Terms {
        links,
        rng: system::rng(),
        base: config.base(address),
        bytes_max: config.blob_bytes_max,
        reserve_bytes: config.disk_reserve_bytes,
    };
    let (data, bucket) = (config.data.clone(), config.bucket.clone());
    let runtime = tokio::runtime::Handle::current();
    let opening = tokio::task::spawn_blocking(move || match bucket {
        None => Blobs::local(&data, terms),
        Some(place) => {
            let tree = Arc::new(RealTree::new(&data));
            Blobs::over(Arc::new(S3Blobs::new(&place, runtime)?), tree, terms)
        }
    });
    let opened = opening.await.map_err(std::io::Error::other).flatten();
    Ok(Arc::new(
        opened.map_err(io("store of attachments does not open"))?,
    ))
}

/// No new requests, the old ones answered.
async fn shut_down(stop: &watch::Sender<bool>, door: JoinHandle<()>) {
    tracing::info!("stopping");
    stop.send_replace(true);
    if door.await.is_err() {
        tracing::error!("the accept loop panicked");
    }
}

/// Counts written, everything flushed.
async fn settle(app: &App, uses: &Arc<Uses>, plane: &Arc<ControlPlane>, threads: Threads) {
    http::usage::store(app).await;
    store_uses(uses, plane).await;
    if tokio::task::spawn_blocking(move || threads.stop())
        .await
        .is_err()
    {
        tracing::error!("the engine's stop panicked");
    }
    tracing::info!("stopped");
}

fn remove_socket(data: &Path) {
    // The next start replaces it anyway.
    drop(std::fs::remove_file(unix::path_in(data)));
}

fn seed(rng: &dyn Rng) -> u64 {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Recovery on a thread of its own.
fn open_in_background(
    config: &Config,
    system: System,
    book: Arc<Book>,
) -> impl Future<Output = Result<Running, ServeError>> + use<> {
    let data = config.data.clone();
    let options = Options {
        reserve_bytes: config.disk_reserve_bytes,
        ..Options::for_memory(config.memory_bytes)
    };
    obsrv_engine::share_caches(config.memory_bytes);
    let opening = tokio::task::spawn_blocking(move || open(&data, options, &system, book));
    async move {
        opening.await.unwrap_or_else(|panic| {
            Err(ServeError::Io {
                what: "recovery panicked".into(),
                source: panic.into(),
            })
        })
    }
}

fn open(
    data: &Path,
    options: Options,
    system: &System,
    book: Arc<Book>,
) -> Result<Running, ServeError> {
    let disk = system::disk(data)?;
    let master = secret::load_or_create(&*disk, &*system.rng)?;
    refuse_shared_secret(data)?;
    let engine = Engine::open(
        Arc::clone(&disk),
        &*system.rng,
        options,
        &Reading {
            book: Arc::clone(&book),
        },
    )?;
    let plane = ControlPlane::recover(
        Arc::clone(&engine),
        &master,
        Arc::clone(&system.clock),
        Arc::clone(&system.rng),
    )?;
    let plane = Arc::new(plane);
    let uses = Uses::load(disk, &plane, book).map_err(io("file of uses cannot be read"))?;
    let accounts = Accounts::new(
        Arc::clone(&plane),
        &master,
        Arc::clone(&system.clock),
        Arc::clone(&system.rng),
    );
    let is_first_start = plane.audit().is_empty();
    let threads = engine.start().map_err(io("threads do not start"))?;
    let quota = Quota::load(&engine, system.clock.wall_ns()).map_err(ServeError::Usage)?;
    let macs = Macs::for_redaction(&master);
    let governance = Governance::new(quota, Arc::clone(&plane), macs);
    Ok(Running {
        engine,
        threads,
        plane,
        governance: Arc::new(governance),
        accounts: Arc::new(accounts),
        providers: Providers::none(&master, Arc::clone(&system.clock), Arc::clone(&system.rng)),
        uses: Arc::new(uses),
        cursors: Macs::for_cursors(&master),
        blob_links: Macs::for_blobs(&master),
        is_first_start,
    })
}

fn refuse_shared_secret(data: &Path) -> Result<(), ServeError> {
    let path = data.join(secret::FILE.to_string());
    let mode = std::fs::metadata(&path).map_err(io("master secret cannot be read"))?;
    if mode.permissions().mode() & 0o077 != 0 {
        return Err(ServeError::SecretMode(path));
    }
    Ok(())
}

mod system {
    //! The real disk, clock and random numbers.

    use std::path::Path;
    use std::sync::Arc;

    use obsrv_engine::io::{
        Clock, Disk, OpenError as DiskOpenError, OsRng, RealDisk, Rng, SystemClock,
    };

    pub(super) fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }

    pub(super) fn rng() -> Arc<dyn Rng> {
        Arc::new(OsRng)
    }

    pub(super) fn disk(data: &Path) -> Result<Arc<dyn Disk>, DiskOpenError> {
        Ok(Arc::new(RealDisk::open(data)?))
    }
}
