//! The ring: how a shard wakes JavaScript. A libuv `uv_async_t` on the environment's own event loop.
//!
//! Why not Node-API's threadsafe function: it writes the wake-up while it holds its mutex. The woken JavaScript thread
//! wants that mutex first of all, sleeps again, and is woken a second time when the shard lets go. For one connection on
//! one core that were 4.5 thread switches a call instead of 3.4 (`benches/README.md`).
//!
//! libuv is not a part of Node-API, but the five functions used here have had one form since libuv 1.0 and Node exports
//! them. They are looked up when the first ring is made; a runtime without them gets the threadsafe function
//! (`crate::ring`).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::{MaybeUninit, transmute};
use std::ptr;
use std::sync::{Arc, Mutex, Once, PoisonError};

use napi::bindgen_prelude::Function;
use napi::{Env, Error, JsValue, Result, Status};
use napi_sys as sys;

pub(crate) type Handle = *mut c_void;
pub(crate) type OnHandle = unsafe extern "C" fn(Handle);
pub(crate) type HandleSize = unsafe extern "C" fn(c_int) -> usize;
type AsyncInit = unsafe extern "C" fn(*mut sys::uv_loop_s, Handle, OnHandle) -> c_int;
type AsyncSend = unsafe extern "C" fn(Handle) -> c_int;
pub(crate) type Unref = unsafe extern "C" fn(Handle);
pub(crate) type Close = unsafe extern "C" fn(Handle, OnHandle);

/// What we call of libuv; `uv_handle_t`s are opaque here.
#[derive(Clone, Copy)]
struct Uv {
    handle_size: HandleSize,
    async_init: AsyncInit,
    async_send: AsyncSend,
    unref: Unref,
    close: Close,
}

/// `UV_ASYNC` of `uv_handle_type`: the first of the enumeration after `UV_UNKNOWN_HANDLE`.
const UV_ASYNC: c_int = 1;

/// A function of libuv's, where the process has it.
pub(crate) fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is terminated; looking a symbol up in what the process has loaded has no other condition.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

impl Uv {
    fn find() -> Option<Self> {
        // SAFETY: the symbols are libuv's, whose declarations in `uv.h` are the types of these fields (`uv_handle_t*` and
        // `uv_async_t*` are pointers, the enumeration is an int); all of them have been there, in this form, since libuv 1.0.
        unsafe {
            Some(Uv {
                handle_size: transmute::<*mut c_void, HandleSize>(symbol(c"uv_handle_size")?),
                async_init: transmute::<*mut c_void, AsyncInit>(symbol(c"uv_async_init")?),
                async_send: transmute::<*mut c_void, AsyncSend>(symbol(c"uv_async_send")?),
                unref: transmute::<*mut c_void, Unref>(symbol(c"uv_unref")?),
                close: transmute::<*mut c_void, Close>(symbol(c"uv_close")?),
            })
        }
    }
}

/// The memory of a handle that is open: `uv_async_send` may be called on it, from any thread.
struct OpenHandle {
    uv: Uv,
    handle: Handle,
}

// SAFETY: the one thing that other threads do with it is `uv_async_send`, which libuv allows from any thread.
unsafe impl Send for OpenHandle {}

/// What a call into JavaScript needs of its environment: the function, and the context that async hooks see. Both are
/// given back when it is dropped, which has to be on the environment's thread, while the environment is there.
struct Target {
    env: sys::napi_env,
    context: sys::napi_async_context,
    /// Null until it was made.
    callback: sys::napi_ref,
}

impl Target {
    fn new(env: sys::napi_env, callback: sys::napi_value) -> Result<Self> {
        let mut name = ptr::null_mut();
        let mut target = Target { env, context: ptr::null_mut(), callback: ptr::null_mut() };
        // SAFETY: plain Node-API calls on the environment's thread with live arguments, and places to write to that
        // outlive them. What was made before a failure is given back by `Drop`.
        unsafe {
            check("napi_create_string_utf8", || {
                sys::napi_create_string_utf8(env, c"FASTTUNNEL_RING".as_ptr(), 15, &mut name)
            })?;
            check("napi_async_init", || sys::napi_async_init(env, ptr::null_mut(), name, &mut target.context))?;
            check("napi_create_reference", || sys::napi_create_reference(env, callback, 1, &mut target.callback))?;
        }
        Ok(target)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // SAFETY: on the environment's thread, see above; both came from it and are given back once.
        unsafe {
            if !self.callback.is_null() {
                sys::napi_delete_reference(self.env, self.callback);
            }
            if !self.context.is_null() {
                sys::napi_async_destroy(self.env, self.context);
            }
        }
    }
}

/// What the handle's callbacks work with. On the event loop's thread only.
struct Inner {
    /// Nothing, once the handle is being closed.
    target: Option<Target>,
    hook: sys::napi_async_cleanup_hook_handle,
    open: Arc<Mutex<Option<OpenHandle>>>,
    /// The handle itself, in words so that it is aligned.
    memory: Box<[u64]>,
}

/// Rings; cheap to clone, from any thread. Does nothing when the ring has gone.
#[derive(Clone)]
pub struct Ringer {
    open: Arc<Mutex<Option<OpenHandle>>>,
}

impl Ringer {
    /// Makes the environment call the ring's function soon; several rings may become one call.
    pub fn ring(&self) {
        if let Some(OpenHandle { uv, handle }) = &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            // SAFETY: the handle is open: it is taken out of its place, under the same lock, before it is closed.
            unsafe { (uv.async_send)(*handle) };
        }
    }
}

/// A ring of the environment that made it. Does not keep its event loop alive.
pub struct LoopRing {
    open: Arc<Mutex<Option<OpenHandle>>>,
    /// It has to be dropped on the environment's thread, so it may not leave it.
    stays: PhantomData<*const ()>,
}

impl LoopRing {
    /// A ring that calls `callback`. `None` where the runtime has no libuv of Node's kind.
    ///
    /// # Errors
    /// What Node-API refuses.
    pub fn new(env: &Env, callback: &Function<'_, (), ()>) -> Result<Option<Self>> {
        let Some(uv) = Uv::find() else { return Ok(None) };
        stay_loaded();
        let raw = env.raw();
        let mut event_loop = ptr::null_mut();
        // SAFETY: plain Node-API and libuv calls on the environment's thread with live arguments; `inner` is freed by
        // `on_closed` only, or here when the handle was never initialised.
        unsafe {
            if sys::napi_get_uv_event_loop(raw, &mut event_loop) != sys::Status::napi_ok || event_loop.is_null() {
                return Ok(None);
            }
            let target = Target::new(raw, callback.raw())?;
            let words = (uv.handle_size)(UV_ASYNC).div_ceil(8);
            let open = Arc::new(Mutex::new(None));
            let inner = Box::into_raw(Box::new(Inner {
                target: Some(target),
                hook: ptr::null_mut(),
                open: open.clone(),
                memory: vec![0; words].into_boxed_slice(),
            }));
            let handle: Handle = (*inner).memory.as_mut_ptr().cast();
            if attempt("uv_async_init", || (uv.async_init)(event_loop, handle, on_ring)) != 0 {
                drop(Box::from_raw(inner));
                return Ok(None);
            }
            handle.cast::<*mut Inner>().write(inner);
            (uv.unref)(handle);
            *open.lock().unwrap_or_else(PoisonError::into_inner) = Some(OpenHandle { uv, handle });
            let ring = LoopRing { open, stays: PhantomData };
            // Should it fail, dropping `ring` closes the handle; without a hook, the environment would not wait for that,
            // but it has not ended yet.
            check("napi_add_async_cleanup_hook", || {
                sys::napi_add_async_cleanup_hook(raw, Some(on_environment_end), inner.cast(), &mut (*inner).hook)
            })?;
            Ok(Some(ring))
        }
    }

    /// Calls the function now, on the environment's thread, outside of JavaScript.
    pub fn enter(&self) {
        let handle = self.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|open| open.handle);
        if let Some(handle) = handle {
            // SAFETY: as libuv calls it: `LoopRing` stays on the environment's thread, and the handle is open.
            unsafe { on_ring(handle) }
        }
    }

    /// For the threads that ring.
    pub fn ringer(&self) -> Ringer {
        Ringer { open: self.open.clone() }
    }
}

impl Drop for LoopRing {
    fn drop(&mut self) {
        close(&self.open);
    }
}

/// Begins to close the handle, once.
fn close(open: &Mutex<Option<OpenHandle>>) {
    let taken = open.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(OpenHandle { uv, handle }) = taken else { return };
    // SAFETY: on the environment's thread (`LoopRing` stays on it, as does the hook); the handle was open, and nobody can
    // find it any more. `inner` lives until `on_closed`. Its target is used by `on_ring` only, which libuv does not call
    // any more for a handle that is being closed.
    unsafe {
        drop((*inner_of(handle)).target.take());
        (uv.close)(handle, on_closed);
    }
}

/// What was stored with the handle: `void* data` is the first member of every `uv_handle_t`, by libuv's documentation.
unsafe fn inner_of(handle: Handle) -> *mut Inner {
    // SAFETY: the caller's handle is open or closing; its memory begins with the pointer that `LoopRing::new` has put there.
    unsafe { handle.cast::<*mut Inner>().read() }
}

/// libuv: somebody has rung. Calls the function as Node calls any callback: microtasks and `nextTick` run behind it.
unsafe extern "C" fn on_ring(handle: Handle) {
    // SAFETY: libuv calls this on the environment's thread, for a handle that is not being closed: `inner` and its target
    // are alive. The values are used within the scope that is opened and closed here.
    unsafe {
        // The function may close the ring: nothing of `inner` is used behind this but copies.
        let Some(&Target { env, context, callback: reference }) = (*inner_of(handle)).target.as_ref() else { return };
        let mut scope = ptr::null_mut();
        if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
            return;
        }
        let (mut callback, mut receiver, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        if sys::napi_get_reference_value(env, reference, &mut callback) == sys::Status::napi_ok
            && sys::napi_get_global(env, &mut receiver) == sys::Status::napi_ok
        {
            let status = sys::napi_make_callback(env, context, receiver, callback, 0, ptr::null(), &mut result);
            let mut error = ptr::null_mut();
            if status == sys::Status::napi_pending_exception
                && sys::napi_get_and_clear_last_exception(env, &mut error) == sys::Status::napi_ok
            {
                // As Node does with what any callback throws: `uncaughtException`.
                sys::napi_fatal_exception(env, error);
            }
        }
        sys::napi_close_handle_scope(env, scope);
    }
}

/// Node: the environment ends. The engine's threads have ended before, by the hook that was added later.
unsafe extern "C" fn on_environment_end(hook: sys::napi_async_cleanup_hook_handle, inner: *mut c_void) {
    // SAFETY: the hook is taken back by `on_closed`, before `inner` is freed; so `inner` is alive. If the handle is being
    // closed already, `close` does nothing, and `on_closed` is still to come.
    unsafe {
        let inner: *mut Inner = inner.cast();
        (*inner).hook = hook;
        let open = (*inner).open.clone();
        close(&open);
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

/// Keeps the addon's code in memory until the process ends. A worker thread that ends unloads the addons that nobody else
/// has loaded; libuv may still have to come back to `on_closed` then, and a thread of ours may be at its very last steps.
pub(crate) fn stay_loaded() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: the address is of a function in this image; `info` is read only when `dladdr` has filled it in, its name
        // is then a terminated text of the loader's. `RTLD_NOLOAD` only counts one more user, who never leaves.
        unsafe {
            if libc::dladdr(on_closed as *const c_void, info.as_mut_ptr()) != 0 {
                libc::dlopen(info.assume_init().dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            }
        }
    });
}

/// The status of a call, zero when it went well. Where the tests' addon is told so, the call is not made and fails.
pub(crate) fn attempt(name: &str, call: impl FnOnce() -> c_int) -> c_int {
    #[cfg(feature = "fault-injection")]
    if crate::saboteur::refuses(name) {
        return sys::Status::napi_generic_failure;
    }
    #[cfg(not(feature = "fault-injection"))]
    let _ = name;
    call()
}

pub(crate) fn check(name: &str, call: impl FnOnce() -> sys::napi_status) -> Result<()> {
    let status = attempt(name, call);
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(Error::new(Status::from(status), format!("{name} failed")))
    }
}
