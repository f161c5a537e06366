# frozen_string_literal: true

require 'rbconfig'

module LibPusher
  # Finds the files of a gem for one platform: the shared library and pusher-testserver. The gem for all platforms has none.
  # @api private
  module Bundled
    FOLDER = File.expand_path('../../vendor', __dir__)
    WINDOWS = RbConfig::CONFIG['host_os'].match?(/mingw|mswin/)

    # @return [String, nil] the path of the library, nil if the gem has none
    def self.library = path(WINDOWS ? 'pusher.dll' : 'libpusher.so')

    # @return [String, nil] the path of pusher-testserver, nil if the gem has none
    def self.program = path(WINDOWS ? 'pusher-testserver.exe' : 'pusher-testserver')

    def self.path(name)
      file = File.join(FOLDER, name)
      file if File.file?(file)
    end
    private_class_method :path
  end
end
