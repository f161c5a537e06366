# frozen_string_literal: true

require_relative 'test_helper'
require 'fileutils'
require 'tmpdir'

# The files of a gem for one platform. scripts/bindings/ruby.sh installs such a gem.
class BundledTest < Minitest::Test
  LIB = File.expand_path('../lib', __dir__)

  def test_a_gem_without_files_has_no_library_and_no_program
    assert_equal [nil, nil], [LibPusher::Bundled.library, LibPusher::Bundled.program]
  end

  def test_the_program_is_that_of_the_environment_then_that_of_the_gem_then_that_of_the_path
    Dir.mktmpdir do |folder|
      FileUtils.cp_r(LIB, folder)
      program(folder, 'bin', 1)
      path = "#{folder}/bin:#{ENV.fetch('PATH')}"
      assert_equal 1, opened(folder, 'PATH' => path, 'PUSHER_TESTSERVER' => nil)
      program(folder, 'vendor', 2)
      assert_equal 2, opened(folder, 'PATH' => path, 'PUSHER_TESTSERVER' => nil)
      program(folder, 'named', 3)
      assert_equal 3, opened(folder, 'PATH' => path, 'PUSHER_TESTSERVER' => "#{folder}/named/pusher-testserver")
    end
  end

  private

  # Writes a program that says it is ready on that port.
  def program(folder, subfolder, port)
    FileUtils.mkdir_p("#{folder}/#{subfolder}")
    file = "#{folder}/#{subfolder}/pusher-testserver"
    File.write(file, "#!/bin/sh\necho '{\"control\":#{port}}'\ncat >/dev/null\n")
    File.chmod(0o755, file)
  end

  # Returns the port of the program that another Ruby starts.
  def opened(folder, environment)
    code = 'require "libpusher/testing"; print LibPusher::Testing.send(:port)'
    said = IO.popen([environment, RbConfig.ruby, '-w', '-I', "#{folder}/lib", '-e', code, { err: %i[child out] }], &:read)
    Integer(said, 10)
  end
end
