# Runs a formula of Homebrew by classes that stand for Homebrew's: `install`, and then its `test`. They have what this formula needs, and
# cannot show what Homebrew itself would refuse.
#
#   ruby formula.rb FORMULA TARBALL SOURCE PREFIX      SOURCE is the unpacked tarball
require "digest"
require "open3"
require "pathname"
require "tmpdir"

FORMULA, TARBALL, SOURCE, PREFIX = ARGV

# The methods of the class record what the formula says of itself.
class Formula
  SAID = Hash.new { |hash, key| hash[key] = [] }

  class << self
    %i[desc homepage url sha256 license depends_on].each do |name|
      define_method(name) { |*values| SAID[name].concat(values) }
    end

    def test(&block)
      define_method(:run_test, &block)
    end

    def inherited(formula)
      super
      @formula = formula
    end

    attr_reader :formula
  end

  attr_accessor :testpath

  def prefix
    Pathname(PREFIX)
  end

  %i[bin lib include].each { |name| define_method(name) { prefix/name.to_s } }

  def pkgshare
    prefix/"share/libpusher"
  end

  def std_cmake_args
    %W[-DCMAKE_INSTALL_PREFIX=#{prefix} -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DCMAKE_FIND_FRAMEWORK=LAST
       -DCMAKE_VERBOSE_MAKEFILE=ON -Wno-dev -DBUILD_TESTING=OFF]
  end

  def system(*command)
    Kernel.system(*command.map(&:to_s), exception: true)
  end
end

# Homebrew writes into folders that do not exist yet, and overwrites nothing.
class Pathname
  def write(content)
    raise "it exists: #{self}" if exist?

    dirname.mkpath
    File.write(self, content)
  end
end

module Utils
  def self.safe_popen_read(*command)
    out, status = Open3.capture2(*command)
    raise "failed: #{command}" unless status.success?

    out
  end
end

def ENV.cc
  "cc"
end

load FORMULA
said = Formula::SAID
raise "another file: #{said[:url]}" unless File.basename(said[:url].first) == File.basename(TARBALL)
raise "another checksum: #{said[:sha256]}" unless said[:sha256] == [Digest::SHA256.file(TARBALL).hexdigest]
raise "no licences: #{said[:license]}" if said[:license].first[:all_of].empty?

formula = Formula.formula.new
Dir.chdir(SOURCE) { formula.install }
Dir.mktmpdir do |folder|
  formula.testpath = Pathname(folder)
  Dir.chdir(folder) { formula.run_test }
end
puts "the formula's test passes"
