"""Recipe for Conan 2: `conan create .`, with Rust installed. See docs/packaging.md."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class PusherConan(ConanFile):
    name = "libpusher"
    license = "MIT OR Apache-2.0"
    topics = ("pusher", "channels", "websocket", "realtime", "ffi")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}
    # The source tarball has `.cargo` and `vendor`, so it builds without a network.
    exports_sources = (
        "CMakeLists.txt",
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-*",
        "src/*",
        "include/*",
        "cmake/*",
        "docs/*",
        "tools/fault-server/*.rs",
        ".cargo/*",
        "vendor/*",
    )

    def set_version(self):
        # The version is written in Cargo.toml only.
        manifest = load(self, os.path.join(self.recipe_folder, "Cargo.toml"))
        self.version = self.version or re.search(r'^version = "(.+)"', manifest, re.MULTILINE)[1]

    def configure(self):
        # The package contains no compiled C++.
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def validate(self):
        if self.settings.os == "Windows":
            raise ConanInvalidConfiguration("this recipe was never tested on Windows: build with CMake")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["PUSHER_BUILD_SHARED"] = bool(self.options.shared)
        toolchain.cache_variables["PUSHER_BUILD_STATIC"] = not self.options.shared
        toolchain.cache_variables["PUSHER_BUILD_EXAMPLES"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        # Conan writes the CMake package itself. pusher.pc stays: package_info() reads the system libraries from it.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "share"))

    def package_info(self):
        self.cpp_info.libs = ["pusher"]
        self.cpp_info.set_property("cmake_file_name", "Pusher")
        self.cpp_info.set_property("cmake_target_name", "Pusher::pusher")
        self.cpp_info.set_property("cmake_target_aliases", ["Pusher::shared" if self.options.shared else "Pusher::static"])
        self.cpp_info.set_property("pkg_config_name", "pusher")
        if not self.options.shared:
            text = load(self, os.path.join(self.package_folder, "lib", "pkgconfig", "pusher.pc"))
            private = re.search(r"^Libs.private: (.*)", text, re.MULTILINE)[1]
            self.cpp_info.system_libs = re.findall(r"-l(\S+)", private)
            self.cpp_info.frameworks = re.findall(r"-framework (\S+)", private)
