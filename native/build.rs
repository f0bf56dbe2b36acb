//! Link options of the NIF library, and the name of the target for `nif::build`.

fn main() {
    // librdkafka's threads run the library's code for as long as a producer is open. If the VM ever unloaded
    // the library under them (a purge of the NIF module), they would run into unmapped memory. `nodelete`
    // makes the dynamic linker keep it mapped for the life of the process.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo:rustc-env=BUILD_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
}
