//! A delegate out of a shared library: a processor's own, loaded at arming.
//!
//! # Source
//! `tensorflow/lite/delegates/external/external_delegate_interface.h`: two functions that every external
//! delegate exports.
#![allow(unsafe_code)]

use super::checksum::{self, Hex};
use super::ffi;
use super::owned::Owned;
use crate::profile;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const CREATE: &CStr = c"tflite_plugin_create_delegate";
const DESTROY: &CStr = c"tflite_plugin_destroy_delegate";

type Report = unsafe extern "C" fn(*const c_char);
type Create = unsafe extern "C" fn(
    *const *const c_char,
    *const *const c_char,
    usize,
    Report,
) -> *mut ffi::Delegate;
type Destroy = unsafe extern "C" fn(*mut ffi::Delegate);

/// A plugin that gives no delegate. Found while arming.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginFault {
    /// The loader refuses the file, for this reason.
    #[error("cannot be loaded ({0}): check the plugin's path, and that what it needs is installed")]
    Load(String),
    /// The file is not the one that the profile names.
    #[error(
        "found sha256 {}, expected {}: install the library again, or set the delegate's `sha256` to what was found if \
         this is the file you mean",
        Hex(.found), Hex(.expected)
    )]
    Checksum {
        /// SHA-256 of the file.
        found: [u8; 32],
        /// SHA-256 in the profile.
        expected: [u8; 32],
    },
    /// The file does not export this function.
    #[error("exports no function {0}: this is not an external delegate of TensorFlow Lite")]
    Symbol(&'static str),
    /// The plugin made no delegate, for this reason.
    #[error("makes no delegate{}", match .0 {
        Some(reason) => format!(": {reason}"),
        None => ", and does not say why: check its options, and that its device is there".to_owned(),
    })]
    Created(Option<String>),
}

/// A loaded delegate. The library stays loaded for the life of the process: its threads may outlive the
/// delegate, and unloading code that they run is no end that can be defended.
pub(super) struct Plugin(Owned<ffi::Delegate>);

impl Plugin {
    /// Loads the library and asks it for a delegate. Its initialisers run when it is loaded, so that it is
    /// checked before.
    pub(super) fn load(plugin: &profile::Plugin) -> Result<Self, PluginFault> {
        let found = checksum::of_file(&plugin.path);
        let found = found.map_err(|error| PluginFault::Load(error.to_string()))?;
        let expected = plugin.sha256;
        if found != expected {
            return Err(PluginFault::Checksum { found, expected });
        }
        let library = open(&plugin.path)?;
        let create = symbol(library, CREATE)?;
        let destroy = symbol(library, DESTROY)?;
        // SAFETY: the interface gives the exported function this type.
        let create = unsafe { std::mem::transmute::<*mut c_void, Create>(create) };
        // SAFETY: as above.
        let destroy = unsafe { std::mem::transmute::<*mut c_void, Destroy>(destroy) };

        let strings = |of: fn(&(String, String)) -> &String| -> Vec<CString> {
            let texts = plugin.options.iter().map(of);
            texts
                .filter_map(|text| CString::new(text.as_str()).ok())
                .collect()
        };
        let (keys, values) = (strings(|(key, _)| key), strings(|(_, value)| value));
        if keys.len() != values.len() || keys.len() != plugin.options.len() {
            return Err(PluginFault::Created(Some("an option holds a NUL".into())));
        }
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings.iter().map(|string| string.as_ptr()).collect()
        };
        let (key_list, value_list) = (pointers(&keys), pointers(&values));
        REPORTED.take();
        // SAFETY: both lists hold as many strings, which live through the call.
        let delegate =
            unsafe { create(key_list.as_ptr(), value_list.as_ptr(), keys.len(), report) };
        // SAFETY: made above, ours, and given back by the plugin's own function.
        let delegate = unsafe { Owned::new(delegate, destroy) };
        delegate
            .map(Self)
            .ok_or_else(|| PluginFault::Created(REPORTED.take()))
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::Delegate {
        self.0.as_ptr()
    }
}

thread_local! {
    /// What a plugin reported while this thread asked it for a delegate.
    static REPORTED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// # Safety
/// As the plugin calls it: `message` is null or a string that lives through the call.
unsafe extern "C" fn report(message: *const c_char) {
    // SAFETY: null or a string, by this function's requirement.
    let message = unsafe { ffi::text(message) };
    REPORTED.with(|reported| {
        if let Ok(mut reported) = reported.try_borrow_mut() {
            *reported = message;
        }
    });
}

fn open(path: &Path) -> Result<*mut c_void, PluginFault> {
    // A bare name would be looked for in the loader's path: a profile names a file.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = CString::new(absolute.as_os_str().as_bytes())
        .map_err(|_| PluginFault::Load("its path holds a NUL".into()))?;
    let flags: c_int = nix::libc::RTLD_NOW | nix::libc::RTLD_LOCAL;
    // SAFETY: the name is a string. The library's initialisers are the plugin's own, which the profile asks
    // to run.
    let library = unsafe { nix::libc::dlopen(name.as_ptr(), flags) };
    if library.is_null() {
        return Err(PluginFault::Load(last_error()));
    }
    Ok(library)
}

fn symbol(library: *mut c_void, name: &'static CStr) -> Result<*mut c_void, PluginFault> {
    // SAFETY: the library was opened and is never closed.
    let address = unsafe { nix::libc::dlsym(library, name.as_ptr()) };
    if address.is_null() {
        return Err(PluginFault::Symbol(name.to_str().unwrap_or("?")));
    }
    Ok(address)
}

fn last_error() -> String {
    // SAFETY: it takes nothing, and gives null or a string that lives until the thread's next call of the
    // loader.
    let message = unsafe { nix::libc::dlerror() };
    // SAFETY: as above.
    unsafe { ffi::text(message) }.unwrap_or_else(|| "for a reason it does not tell".into())
}
