//! How the event loop turns a shard: a `uv_poll_t` on the shard's descriptor, and a `uv_idle_t` while there is more to do
//! than one turn takes. As with the ring (`raw_ring`), libuv's functions are looked up, and have had one form since 1.0.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::mem::transmute;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::{Env, Result};
use napi_sys as sys;

use crate::raw_ring::{Close, Handle, HandleSize, OnHandle, Unref, attempt, check, stay_loaded, symbol};

type Loop = *mut sys::uv_loop_s;
type OnPoll = unsafe extern "C" fn(Handle, c_int, c_int);
type PollInit = unsafe extern "C" fn(Loop, Handle, c_int) -> c_int;
type PollStart = unsafe extern "C" fn(Handle, c_int, OnPoll) -> c_int;
type IdleInit = unsafe extern "C" fn(Loop, Handle) -> c_int;
type IdleStart = unsafe extern "C" fn(Handle, OnHandle) -> c_int;
type IdleStop = unsafe extern "C" fn(Handle) -> c_int;

/// What we call of libuv here.
#[derive(Clone, Copy)]
struct Uv {
    handle_size: HandleSize,
    poll_init: PollInit,
    poll_start: PollStart,
    idle_init: IdleInit,
    idle_start: IdleStart,
    idle_stop: IdleStop,
    unref: Unref,
    close: Close,
}

/// Of `uv_handle_type`, whose order has not changed since libuv 1.0.
const UV_IDLE: c_int = 6;
/// See [`UV_IDLE`].
const UV_POLL: c_int = 8;
/// Of `uv_poll_event`.
const UV_READABLE: c_int = 1;

impl Uv {
    fn find() -> Option<Self> {
        // SAFETY: the symbols are libuv's, whose declarations in `uv.h` are the types of these fields (handles of all kinds
        // are pointers, the enumerations are ints); all of them have been there, in this form, since libuv 1.0.
        unsafe {
            Some(Uv {
                handle_size: transmute::<*mut c_void, HandleSize>(symbol(c"uv_handle_size")?),
                poll_init: transmute::<*mut c_void, PollInit>(symbol(c"uv_poll_init")?),
                poll_start: transmute::<*mut c_void, PollStart>(symbol(c"uv_poll_start")?),
                idle_init: transmute::<*mut c_void, IdleInit>(symbol(c"uv_idle_init")?),
                idle_start: transmute::<*mut c_void, IdleStart>(symbol(c"uv_idle_start")?),
                idle_stop: transmute::<*mut c_void, IdleStop>(symbol(c"uv_idle_stop")?),
                unref: transmute::<*mut c_void, Unref>(symbol(c"uv_unref")?),
                close: transmute::<*mut c_void, Close>(symbol(c"uv_close")?),
            })
        }
    }
}

/// True where the process has what turning needs.
pub fn is_possible() -> bool {
    Uv::find().is_some()
}

/// What the event loop does when there is something to do.
type Work = Rc<dyn Fn()>;

/// The handles by which an event loop turns a shard. Does not keep the loop alive. Stays on the environment's thread.
pub struct LoopTurn {
    env: sys::napi_env,
    uv: Uv,
    event_loop: Loop,
    work: Work,
    idle: OpenHandle,
    watch: RefCell<Option<OpenHandle>>,
    hurries: Cell<bool>,
    stays: PhantomData<*const ()>,
}

/// A handle, until it is closed.
struct OpenHandle {
    uv: Uv,
    open: Rc<Cell<Handle>>,
}

/// What libuv has while the handle is not closed.
struct Inner {
    uv: Uv,
    /// Null when closing has begun.
    open: Rc<Cell<Handle>>,
    work: Work,
    /// What it watches, if anything: closed behind the handle.
    _descriptor: Option<OwnedFd>,
    hook: sys::napi_async_cleanup_hook_handle,
    memory: Box<[u64]>,
}

impl LoopTurn {
    /// Handles that call `work`. `None` where the runtime has no libuv of Node's kind.
    ///
    /// # Errors
    /// What Node-API refuses.
    pub fn new(env: &Env, work: impl Fn() + 'static) -> Result<Option<Self>> {
        let Some(uv) = Uv::find() else { return Ok(None) };
        stay_loaded();
        let mut event_loop = ptr::null_mut();
        // SAFETY: a plain Node-API call on the environment's thread with live arguments.
        let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &mut event_loop) };
        if status != sys::Status::napi_ok || event_loop.is_null() {
            return Ok(None);
        }
        let work: Work = Rc::new(work);
        // SAFETY: `uv_idle_init` gets the loop and memory of the size that libuv says.
        let init = |handle| unsafe { (uv.idle_init)(event_loop, handle) };
        let idle = OpenHandle::new(env.raw(), uv, UV_IDLE, None, &work, init)?;
        let Some(idle) = idle else { return Ok(None) };
        let (watch, hurries) = (RefCell::default(), Cell::new(false));
        Ok(Some(LoopTurn { env: env.raw(), uv, event_loop, work, idle, watch, hurries, stays: PhantomData }))
    }

    /// Watches this descriptor instead of the last one, or none. False when libuv refuses it.
    pub fn watch(&self, descriptor: Option<OwnedFd>) -> Result<bool> {
        self.watch.take();
        let Some(descriptor) = descriptor else { return Ok(true) };
        let (number, uv, event_loop) = (descriptor.as_raw_fd(), self.uv, self.event_loop);
        // SAFETY: `uv_poll_init` gets the loop, memory of the size that libuv says, and a descriptor that `Inner` keeps open
        // until the handle is closed. `uv_poll_start` gets the handle that was made.
        let init = move |handle| unsafe {
            match (uv.poll_init)(event_loop, handle, number) {
                0 => (uv.poll_start)(handle, UV_READABLE, on_readable),
                status => status,
            }
        };
        let watch = OpenHandle::new(self.env, uv, UV_POLL, Some(descriptor), &self.work, init)?;
        let watches = watch.is_some();
        self.watch.replace(watch);
        Ok(watches)
    }

    /// Whether there is more to do, without waiting: everybody else has a turn before.
    pub fn hurry(&self, more: bool) {
        if self.hurries.replace(more) == more {
            return;
        }
        let handle = self.idle.open.get();
        if !handle.is_null() {
            // SAFETY: the handle is open, on the environment's thread.
            unsafe {
                if more {
                    (self.uv.idle_start)(handle, on_idle);
                } else {
                    (self.uv.idle_stop)(handle);
                }
            }
        }
    }
}

impl OpenHandle {
    /// A handle in memory of its own, which `init` makes. `None` when it refuses.
    fn new(
        env: sys::napi_env,
        uv: Uv,
        kind: c_int,
        descriptor: Option<OwnedFd>,
        work: &Work,
        init: impl FnOnce(Handle) -> c_int,
    ) -> Result<Option<Self>> {
        let open = Rc::new(Cell::new(ptr::null_mut()));
        // SAFETY: plain libuv and Node-API calls on the environment's thread; `inner` is freed by `on_closed` only, or here
        // when the handle was never initialised.
        unsafe {
            let words = (uv.handle_size)(kind).div_ceil(8);
            let inner = Box::into_raw(Box::new(Inner {
                uv,
                open: open.clone(),
                work: work.clone(),
                _descriptor: descriptor,
                hook: ptr::null_mut(),
                memory: vec![0; words].into_boxed_slice(),
            }));
            let handle: Handle = (*inner).memory.as_mut_ptr().cast();
            if attempt("uv_poll_init", || init(handle)) != 0 {
                drop(Box::from_raw(inner));
                return Ok(None);
            }
            handle.cast::<*mut Inner>().write(inner);
            (uv.unref)(handle);
            open.set(handle);
            let made = OpenHandle { uv, open };
            // Should it fail, dropping `made` closes the handle, as in `raw_ring`.
            check("napi_add_async_cleanup_hook", || {
                sys::napi_add_async_cleanup_hook(env, Some(on_environment_end), inner.cast(), &mut (*inner).hook)
            })?;
            Ok(Some(made))
        }
    }
}

impl Drop for OpenHandle {
    fn drop(&mut self) {
        close(self.uv, &self.open);
    }
}

/// Begins to close a handle, once.
fn close(uv: Uv, open: &Cell<Handle>) {
    let handle = open.replace(ptr::null_mut());
    if !handle.is_null() {
        // SAFETY: on the environment's thread, as all of this file; the handle was open, and nobody uses it any more but
        // libuv, which calls `on_closed` last of all.
        unsafe { (uv.close)(handle, on_closed) }
    }
}

/// What was stored with the handle: see `raw_ring::inner_of`.
unsafe fn inner_of(handle: Handle) -> *mut Inner {
    // SAFETY: the caller's handle is open or closing; its memory begins with the pointer that `OpenHandle::new` put there.
    unsafe { handle.cast::<*mut Inner>().read() }
}

/// Does the work. What it calls may close the handle: nothing of `inner` is used behind that.
unsafe fn act(handle: Handle) {
    // SAFETY: libuv calls back for handles that are not being closed, on the environment's thread.
    let work = unsafe { (*inner_of(handle)).work.clone() };
    // A panic must not cross into Node. What turns contains its own.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work())) {
        std::mem::forget(payload);
    }
}

/// libuv: the descriptor can be read, or something is wrong with it, which the turn finds out.
unsafe extern "C" fn on_readable(handle: Handle, _status: c_int, _events: c_int) {
    // SAFETY: see `act`.
    unsafe { act(handle) }
}

/// libuv: everybody else has had a turn.
unsafe extern "C" fn on_idle(handle: Handle) {
    // SAFETY: see `act`.
    unsafe { act(handle) }
}

/// Node: the environment ends. The shard has ended before, by the hook that was added later.
unsafe extern "C" fn on_environment_end(hook: sys::napi_async_cleanup_hook_handle, inner: *mut c_void) {
    // SAFETY: the hook is taken back by `on_closed`, before `inner` is freed; so `inner` is alive.
    unsafe {
        let inner: *mut Inner = inner.cast();
        (*inner).hook = hook;
        let (uv, open) = ((*inner).uv, (*inner).open.clone());
        close(uv, &open);
    }
}

/// libuv: the handle is closed, nobody uses its memory any more.
unsafe extern "C" fn on_closed(handle: Handle) {
    // SAFETY: libuv calls this once, last of all; `inner` came from `Box::into_raw`.
    unsafe {
        let inner = Box::from_raw(inner_of(handle));
        if !inner.hook.is_null() {
            sys::napi_remove_async_cleanup_hook(inner.hook);
        }
    }
}
