class ApplicationController < ActionController::API
  private

  # The id of the user, whose session this header stands for; nil for nobody.
  def current_user = request.authorization&.delete_prefix('Bearer ')

  def require_user = current_user || head(:forbidden)
end
